"""The Gallery tab: every picture that was made, found by words and days, and its settings brought back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from studio.errors import HearsightError
from studio.library.entries import Entry, Wanted, day
from studio.library.png import read_recipe
from studio.ui import status, words
from studio.ui.album import Album, show
from studio.ui.create import CREATE_ID, CreateTab
from studio.ui.details_panel import DetailsPanel, build_details_panel
from studio.ui.edit_tab import EDIT_ID
from studio.ui.jobs import sentence

Updates = dict[Any, Any]
GALLERY_ID = "gallery"
ON_A_PAGE = 24
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class GalleryTab:
    """The controls of the tab and what their events do.

    number: State of int, the page from 1.  names: State of list[str], the file names in the grid, in its order.
    chosen: State of str | None, the file name of the picture whose details are shown.
    """

    create: CreateTab
    tabs: gr.Tabs
    search: gr.Textbox
    since: gr.Textbox
    until: gr.Textbox
    favourites: gr.Checkbox
    line: gr.HTML
    grid: gr.Gallery
    turning: gr.Row
    newer: gr.Button
    where: gr.HTML
    older: gr.Button
    details: DetailsPanel
    drop: gr.File
    number: gr.State
    names: gr.State
    chosen: gr.State

    @property
    def inputs(self) -> dict[str, Any]:
        """What listing reads, by name."""
        names = ("search", "since", "until", "favourites", "number", "chosen")
        return {**{name: getattr(self, name) for name in names}, "visitor": self.create.visitor}

    @property
    def changing(self) -> list[Any]:
        """Everything that listing may change."""
        listing = [self.line, self.grid, self.turning, self.newer, self.where, self.older, self.number, self.names]
        return [*listing, self.chosen, *self.details.changing]

    def listed(self, turn: int = 0, first: bool = False, **values: Any) -> Updates:
        """The page of pictures that fits. turn: pages to go on (older) or back.  first: begin at the first page."""
        album = self.create.album(values["visitor"])
        try:
            wanted = Wanted(
                words=values["search"] or "",
                since=day(values["since"], words.SINCE) if values["since"] else None,
                until=day(values["until"], words.UNTIL) if values["until"] else None,
                favourites=values["favourites"],
            )
            album.refresh()
            page = album.page(wanted, 1 if first else values["number"] + turn, ON_A_PAGE)
        except HearsightError as error:
            return {self.line: status.mistake(sentence(error))}
        if page.total:
            text = words.FOUND.format(total=page.total) if page.total > 1 else words.FOUND_ONE
        else:
            text = words.EMPTY_GALLERY if wanted == Wanted() else words.NOTHING_FITS
        several = page.pages > 1
        pictures = [(entry, small) for entry in page.entries if (small := album.thumbnail(entry.name))]
        return {
            self.line: status.note(text),
            self.grid: gr.Gallery(
                [(show(small), caption(entry)) for entry, small in pictures],
                visible=bool(pictures),
                selected_index=None,
            ),
            self.names: [entry.name for entry, _ in pictures],
            self.number: page.number,
            self.turning: gr.Row(visible=several),
            self.newer: gr.Button(interactive=page.number > 1),
            self.older: gr.Button(interactive=page.number < page.pages),
            self.where: f'<p class="where">{words.PAGE.format(number=page.number, pages=page.pages)}</p>',
            **self._still(album, values["chosen"]),
        }

    def _still(self, album: Album, chosen: str | None) -> Updates:
        """The details of the chosen picture, emptied when it is gone."""
        if chosen is None or album.get(chosen) is not None:
            return {self.chosen: chosen}
        return {self.chosen: None, **self.details.emptied()}

    def searched(self, **values: Any) -> Updates:
        """The search changed: what fits is shown from its first page on."""
        return self.listed(first=True, **values)

    def turned_back(self, **values: Any) -> Updates:
        """Newer was pressed."""
        return self.listed(turn=-1, **values)

    def turned_on(self, **values: Any) -> Updates:
        """Older was pressed."""
        return self.listed(turn=1, **values)

    def picked(self, event: gr.SelectData, names: list[str], visitor: str | None) -> Updates:
        """A picture of the grid was chosen: say how it was made."""
        index = event.index if isinstance(event.index, int) else 0
        return self._with_details(names[index] if index < len(names) else "", visitor)

    def _with_details(self, name: str, visitor: str | None) -> Updates:
        album = self.create.album(visitor)
        entry = album.get(name)
        try:
            recipe = read_recipe(album.folder / name) if entry else None
        except HearsightError:  # deleted by another program a moment ago
            recipe = None
        if entry is None or recipe is None:
            return {self.line: status.mistake(words.GONE), self.chosen: None, **self.details.emptied()}
        return {self.chosen: name, **self.details.shown(entry, recipe, album.folder / name)}

    def marked(self, **values: Any) -> Updates:
        """The favourite button was pressed: the other of the two states."""
        album, name = self.create.album(values["visitor"]), values["chosen"] or ""
        entry = album.get(name)
        try:
            if entry is not None:
                album.set_favourite(name, not entry.favourite)
        except HearsightError as error:
            return {self.line: status.mistake(sentence(error))}
        return {**self.listed(**values), **self._with_details(name, values["visitor"])}

    def deleted(self, **values: Any) -> Updates:
        """Delete was pressed and confirmed."""
        try:
            self.create.album(values["visitor"]).delete(values["chosen"] or "")
        except HearsightError as error:
            return {self.line: status.mistake(sentence(error))}
        return {**self.listed(**values), self.line: status.note(words.DELETED)}

    def reused(self, chosen: str | None, visitor: str | None, *facts: object) -> Updates:
        """Use these settings was pressed: every control of the Create tab as it was, and that tab in view."""
        path = self.create.album(visitor).find(chosen or "")
        return self._brought_back(path, *facts) if path else {self.line: status.mistake(words.GONE)}

    def dropped(self, path: str, *facts: object) -> Updates:
        """A picture was dropped: the same for its settings."""
        return {**self._brought_back(Path(path), *facts), self.drop: None}

    def _brought_back(self, path: Path, *facts: object) -> Updates:
        try:
            recipe = read_recipe(path)
        except HearsightError:
            return {self.line: status.mistake(words.NO_SETTINGS.format(name=path.name))}
        tab = (
            CREATE_ID if recipe.edit is None else EDIT_ID
        )  # which takes its own settings, see studio.ui.edit_arrivals
        return {**self.create.brought_back(path, recipe, *facts), self.tabs: gr.Tabs(selected=tab)}


def caption(entry: Entry) -> str:
    """A thumbnail's words, which are its alternative text too: a star for a favourite, the sounds, else the prompt."""
    return f"{words.STAR} {named(entry)}" if entry.favourite else named(entry)


def named(entry: Entry) -> str:
    """The sounds of a picture without their endings, or its prompt when it names none."""
    return ", ".join(Path(sound).stem or sound for sound in entry.sounds) or entry.prompt


def build_gallery_tab(create: CreateTab, tabs: gr.Tabs, tab: gr.Tab) -> GalleryTab:
    """Lay the tab out inside the current Gradio block and wire it. tabs: all of them.  tab: this one's own."""
    with gr.Row(elem_id="gallery"):
        with gr.Column(scale=7, min_width=320, elem_id="finding"), gr.Column(elem_classes="card"):
            gr.HTML(f"<h2>{words.GALLERY_HEADING}</h2>", elem_classes="heading")
            with gr.Row(elem_id="filters"):
                search = gr.Textbox(
                    label=words.SEARCH,
                    placeholder=words.SEARCH_PLACEHOLDER,
                    max_lines=1,
                    elem_id="gallery_search",
                    min_width=200,
                    scale=2,
                )
                since, until = (
                    gr.Textbox(  # head.html makes it the browser's own calendar; gr.DateTime has no label to read
                        label=label,
                        placeholder=words.DAY_PLACEHOLDER,
                        max_lines=1,
                        elem_id=name,
                        elem_classes="day",
                        min_width=140,
                    )
                    for label, name in ((words.SINCE, "gallery_since"), (words.UNTIL, "gallery_until"))
                )
                favourites = gr.Checkbox(False, label=words.FAVOURITES, elem_id="gallery_favourites", min_width=140)
            line = gr.HTML(status.note(words.EMPTY_GALLERY), elem_id="gallery_status")
            grid = gr.Gallery(
                None,
                label=words.GALLERY_HEADING,
                show_label=False,
                height="auto",
                object_fit="cover",
                allow_preview=False,
                interactive=False,
                buttons=[],
                visible=False,
                elem_id="gallery_grid",
            )
            with gr.Row(visible=False, elem_id="turning") as turning:
                newer = gr.Button(words.NEWER, size="md", elem_id="gallery_newer", min_width=100)
                where = gr.HTML("", elem_id="gallery_where")
                older = gr.Button(words.OLDER, size="md", elem_id="gallery_older", min_width=100)
            with gr.Accordion(words.DROP, open=False, elem_id="gallery_restore"):
                drop = gr.File(
                    label=words.DROP_LABEL, file_types=[".png"], type="filepath", height=120, elem_id="gallery_drop"
                )
        with gr.Column(scale=5, min_width=320, elem_id="chosen"), gr.Column(elem_classes="card"):
            details = build_details_panel()
    built = GalleryTab(
        create=create,
        tabs=tabs,
        search=search,
        since=since,
        until=until,
        favourites=favourites,
        line=line,
        grid=grid,
        turning=turning,
        newer=newer,
        where=where,
        older=older,
        details=details,
        drop=drop,
        number=gr.State(1),
        names=gr.State([]),
        chosen=gr.State(None),
    )
    _wire(built, tab)
    return built


def _wire(gallery: GalleryTab, tab: gr.Tab) -> None:
    details, create = gallery.details, gallery.create
    listing: dict[str, Any] = {"inputs_kwargs": gallery.inputs, "outputs": gallery.changing, **_QUIET}
    tab.select(gallery.listed, **listing)
    filters = [gallery.search.change, gallery.since.change, gallery.until.change, gallery.favourites.input]
    gr.on(filters, gallery.searched, trigger_mode="always_last", **listing)
    gallery.newer.click(gallery.turned_back, **listing)
    gallery.older.click(gallery.turned_on, **listing)
    picking = gallery.grid.select(gallery.picked, [gallery.names, create.visitor], gallery.changing, **_QUIET)
    picking.then(None, None, None, js="() => { window.hearsight.showChosen(); return []; }")

    details.favourite.click(gallery.marked, **listing)
    details.sure.click(gallery.deleted, **listing)
    restored = [
        details.reuse.click(
            gallery.reused,
            [gallery.chosen, create.visitor, *create.sound.facts],
            [*create.restoring, gallery.line, gallery.tabs],
            **_QUIET,
        ),
        gallery.drop.upload(
            gallery.dropped,
            [gallery.drop, *create.sound.facts],
            [*create.restoring, gallery.line, gallery.tabs, gallery.drop],
            **_QUIET,
        ),
    ]
    for event in restored:
        create.listen_after(event)
