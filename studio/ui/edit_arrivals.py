"""What comes to the Edit tab from elsewhere: a picture to be edited, or the settings of an edit to be restored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from studio.errors import HearsightError
from studio.library.png import read_recipe
from studio.recipe import Edit, Recipe
from studio.ui import status, words
from studio.ui.album import show
from studio.ui.edit_tab import EDIT_ID, OF_EDIT, EditTab
from studio.ui.gallery_tab import GalleryTab

Updates = dict[Any, Any]
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def settings_of(tab: EditTab, recipe: Recipe, edit: Edit, name: str, photo: str | None) -> Updates:
    """Every control of the tab as it was when an edit was made; the sounds are the Create tab's.

    name: of the picture.  photo: the file that lies in the tab, where it stays; another one than that of the edit gets
    these settings too, and it is said.
    """
    controls = tab.controls
    said = [words.EDIT_RESTORED.format(name=name)]
    if photo is None or _digest(photo) != edit.sha256:
        said.append(words.EDIT_RESTORED_PHOTO.format(photo=edit.name or words.EDIT_PHOTO))
    if edit.mask_sha256 is not None:
        said.append(words.EDIT_RESTORED_MASK)
    values = {one: getattr(edit, one) for one in OF_EDIT}
    values |= {one: getattr(recipe, one) for one in ("prompt", "sound_strength")}
    for one in ("num_inference_steps", "guidance_scale"):
        if getattr(recipe, one) is not None:
            values[one] = getattr(recipe, one)
    return {
        **{controls[f"edit_{one}"]: value for one, value in values.items()},
        **tab.chosen(edit.method),
        **tab.set_for(edit.method, values),
        controls["edit_seed"]: "" if recipe.seed is None else str(recipe.seed),
        controls["edit_sound"]: None,
        tab.touched: True,
        tab.followed: tab.create.service.at_home(recipe).model,
        tab.line: status.note(" ".join(said)),
    }


def _digest(path: str) -> str | None:
    from studio.editing.photo import read_photo  # with torch, so never before the page is up

    try:
        return read_photo(path).sha256
    except HearsightError:
        return None


class Arrivals:
    """The events. tabs: all of the page's, of which the Edit tab comes into view."""

    def __init__(self, tab: EditTab, gallery: GalleryTab, tabs: gr.Tabs) -> None:
        self.tab, self.gallery, self.tabs = tab, gallery, tabs

    @property
    def changing(self) -> list[Any]:
        """Everything that the events below may change, beside the sounds."""
        tab = self.tab
        return [*tab.controls.values(), tab.about, tab.touched, tab.followed, tab.line, self.tabs]

    def dropped(self, path: str, photo: str | None, *facts: object) -> Updates:
        """A picture was dropped on the tab: its settings come back, its sounds too."""
        name = Path(path).name
        empty: Updates = {self.tab.drop: None}
        try:
            recipe = read_recipe(path)
        except HearsightError:
            return empty | {self.tab.line: status.mistake(words.NO_SETTINGS.format(name=name))}
        if recipe.edit is None or recipe.edit.method not in words.EDIT_METHODS:
            return empty | {self.tab.line: status.mistake(words.EDIT_NOT_AN_EDIT.format(name=name))}
        create = self.tab.create
        ours = create.service.at_home(recipe)
        sounds = {**create.sound.restore(ours, facts), **create.models.restore(ours)}
        return {**empty, **sounds, **settings_of(self.tab, recipe, recipe.edit, name, photo)}

    def followed(self, recipe: Recipe | None, name: str, photo: str | None) -> Updates:
        """Settings were brought back elsewhere: those of an edit belong here, and the tab comes into view."""
        if recipe is None or recipe.edit is None or recipe.edit.method not in words.EDIT_METHODS:
            return {self.tab.line: gr.skip()}
        return {
            **settings_of(self.tab, recipe, recipe.edit, name, photo),
            self.tabs: gr.Tabs(selected=EDIT_ID),
        }

    def dropped_elsewhere(self, path: str | None, photo: str | None) -> Updates:
        """A picture was dropped on the Create tab or in the gallery, which take what is theirs."""
        try:
            recipe = read_recipe(path) if path else None
        except HearsightError:
            recipe = None
        return self.followed(recipe, Path(path or "").name, photo)

    def reused(self, shown: Recipe | None, photo: str | None) -> Updates:
        """Use these settings was pressed in the Create tab."""
        return self.followed(shown, words.PICTURE.lower(), photo)

    def reused_from_gallery(self, chosen: str | None, visitor: str | None, photo: str | None) -> Updates:
        """The same in the gallery."""
        path = self.tab.create.album(visitor).find(chosen or "")
        return self.dropped_elsewhere(None if path is None else str(path), photo)

    def sent(self, path: str | None) -> Updates:
        """Edit this picture was pressed: it is the photo now; with its own steps, so that it can be drawn again."""
        try:
            recipe = read_recipe(path) if path else None
        except HearsightError:  # deleted by another program a moment ago
            recipe = None
        if path is None or recipe is None:
            return {self.tab.line: status.mistake(words.GONE)}
        steps = recipe.num_inference_steps
        return {
            self.tab.controls["edit_photo"]: show(path),
            self.tab.controls["edit_source_prompt"]: "",
            self.tab.controls["edit_num_inference_steps"]: gr.skip() if steps is None else steps,
            self.tabs: gr.Tabs(selected=EDIT_ID),
        }

    def sent_from_gallery(self, chosen: str | None, visitor: str | None) -> Updates:
        """The same in the gallery."""
        path = self.tab.create.album(visitor).find(chosen or "")
        return self.sent(None if path is None else str(path))


def wire_arrivals(tab: EditTab, gallery: GalleryTab, tabs: gr.Tabs) -> Arrivals:
    """Wire the buttons and drops of all three tabs."""
    made = Arrivals(tab, gallery, tabs)
    create, details, photo = tab.create, gallery.details, tab.controls["edit_photo"]
    sounds = create.sound
    event = tab.drop.upload(
        made.dropped,
        [tab.drop, photo, *sounds.facts],
        [*made.changing, *sounds.changing, *create.models.changing, tab.drop],
        **_QUIET,
    )
    create.listen_after(event)
    for drop in (create.picture.drop, gallery.drop):
        drop.upload(made.dropped_elsewhere, [drop, photo], made.changing, **_QUIET)
    create.picture.reuse.click(made.reused, [create.picture.shown, photo], made.changing, **_QUIET)
    chosen = [gallery.chosen, create.visitor]
    details.reuse.click(made.reused_from_gallery, [*chosen, photo], made.changing, **_QUIET)
    create.picture.edit.click(made.sent, create.picture.download, made.changing, **_QUIET)
    details.edit.click(made.sent_from_gallery, chosen, made.changing, **_QUIET)
    return made
