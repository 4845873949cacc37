"""The right side: the picture, its status line, Make and Stop, what it was made with, the strip of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from studio.errors import HearsightError
from studio.library.png import read_recipe
from studio.recipe import Recipe
from studio.ui import status, words
from studio.ui.album import Album, show
from studio.ui.jobs import Drawing, Loading, Moment, Saved, Stopped, Waiting
from studio.ui.sounds import Look, Unusable

Updates = dict[Any, Any]
STRIP_LENGTH = 18


@dataclass(frozen=True)
class PicturePanel:
    """The controls of the picture.

    shown: State of Recipe | None, the recipe of the finished picture in view.
    names: State of list[str], the file names in the strip, in its order.
    """

    picture: gr.Image
    line: gr.HTML
    make: gr.Button
    stop: gr.Button
    about: gr.HTML
    actions: gr.Row
    download: gr.DownloadButton
    variation: gr.Button
    reuse: gr.Button
    edit: gr.Button
    strip: gr.Gallery
    drop: gr.File
    shown: gr.State
    names: gr.State

    def begun(self) -> Updates:
        """Make was pressed: it is locked until `unlocked`. The last picture stays until there is something to see."""
        return {
            self.make: gr.Button(words.MAKE_BUSY, interactive=False),
            self.stop: gr.Button(interactive=True),
            self.line: status.busy(words.STARTING),
        }

    def taken_over(self, recipe: Recipe) -> Updates:
        """The first preview takes the place of the last picture, whose buttons wait for the next one."""
        return {self.about: status.about(recipe, ""), **self._usable(False)}

    def _usable(self, usable: bool) -> Updates:
        return {
            self.download: gr.DownloadButton(interactive=usable),
            self.variation: gr.Button(interactive=usable),
            self.reuse: gr.Button(interactive=usable),
            self.edit: gr.Button(interactive=usable),
        }

    def unlocked(self) -> Updates:
        """Make can be pressed again, whatever happened."""
        return {self.make: gr.Button(words.MAKE, interactive=True), self.stop: gr.Button(interactive=False)}

    def moment(self, moment: Moment, album: Album) -> Updates:
        """What one moment of the work changes on the page."""
        match moment:
            case Waiting(ahead=ahead, seconds=seconds):
                return {self.line: status.waiting(ahead, seconds)}
            case Loading(model=model):
                return {self.line: status.loading(model)}
            case Drawing(step=step, image=image, count=count, eta=eta):
                line = {self.line: status.drawing(step.index, step.total, eta, image, count)}
                return line if step.preview is None else {**line, self.picture: step.preview}
            case Saved():
                return {**self.finished(moment.path, moment.recipe), **self.refilled(album), **self._done(moment)}
            case Stopped(index=index):
                text = words.STOPPED.format(index=index) if index else words.STOPPED_EARLY
                return {self.line: status.note(text)}

    def _done(self, saved: Saved) -> Updates:
        if not saved.last:
            return {}
        done = words.DONE.format(seconds=status.length(saved.seconds))
        return {self.line: status.note(". ".join([done, *saved.warnings]))}

    def finished(self, path: Path, recipe: Recipe) -> Updates:
        """A finished picture in view: the file itself, so that a download keeps its recipe."""
        served = show(path)
        return {
            self.picture: gr.Image(served, alt_text=recipe.prompt),
            self.about: status.about(recipe, path.name),
            **self._usable(True),
            self.download: gr.DownloadButton(value=served, interactive=True),
            self.actions: gr.Row(visible=True),
            self.shown: recipe,
        }

    def refilled(self, album: Album) -> Updates:
        """The strip as the disk has it."""
        paths = album.newest(STRIP_LENGTH)
        return {
            self.strip: gr.Gallery(
                [show(album.thumbnail(path.name) or path) for path in paths], visible=bool(paths), selected_index=None
            ),
            self.names: [path.name for path in paths],
        }

    def opened(self, album: Album) -> Updates:
        """The page is fresh: pictures of earlier are still there, the latest in view, and Make is not locked."""
        updates = {**self.refilled(album), **self.unlocked()}
        latest = album.newest(1)
        try:
            recipe = read_recipe(latest[0]) if latest else None
        except HearsightError:  # a file that something else wrote or damaged must not hold up the page
            recipe = None
        if recipe is not None:
            updates |= {**self.finished(latest[0], recipe), self.line: status.note(words.LATEST)}
        return updates

    def placeholder(self, facts: object, shown: Recipe | None) -> Updates:
        """Before the first picture: the sound itself, drawn."""
        if shown is not None or isinstance(facts, Unusable):  # what is wrong with a sound stands beside it
            return {self.picture: gr.skip()}
        if not isinstance(facts, Look):
            return {self.line: status.note(words.NO_SOUND_YET)}
        return {
            self.picture: gr.Image(facts.portrait, alt_text=words.SOUND_PICTURE_ALT),
            self.line: status.note(words.READY_TO_MAKE),
        }

    @property
    def changing(self) -> list[Any]:
        """Everything that the updates above may change."""
        return [
            self.picture,
            self.line,
            self.make,
            self.stop,
            self.about,
            self.actions,
            self.download,
            self.variation,
            self.reuse,
            self.edit,
            self.strip,
            self.shown,
            self.names,
        ]


def build_picture_panel(facts: Look | None) -> PicturePanel:
    """Lay the controls out inside the current Gradio block. facts: the sound that is there at the start."""
    picture = gr.Image(
        facts.portrait if facts else None,
        label=words.PICTURE,
        show_label=False,
        format="jpeg",  # previews only: the finished picture is handed over as the PNG file it is
        interactive=False,
        buttons=["fullscreen"],
        alt_text=words.SOUND_PICTURE_ALT,
        elem_id="picture",
    )
    line = gr.HTML(status.note(words.READY_TO_MAKE if facts else words.NO_SOUND_YET), elem_id="status")
    with gr.Row(elem_id="bar"):
        make = gr.Button(words.MAKE, variant="primary", elem_id="make", scale=4, min_width=120)
        stop = gr.Button(words.STOP, variant="stop", interactive=False, elem_id="stop", scale=1, min_width=80)
    gr.HTML(f'<p class="shortcuts">{words.SHORTCUTS}</p>', elem_id="shortcuts")
    about = gr.HTML("", elem_id="about")
    with gr.Row(visible=False, elem_id="actions") as actions:
        download = gr.DownloadButton(words.DOWNLOAD, size="md", elem_id="download", min_width=110)
        variation = gr.Button(words.VARIATION, size="md", elem_id="variation", min_width=110)
        reuse = gr.Button(words.REUSE, size="md", elem_id="reuse", min_width=110)
        edit = gr.Button(words.EDIT_THIS, size="md", elem_id="edit_this", min_width=110)
    strip = gr.Gallery(
        None,
        label=words.STRIP,
        columns=6,
        height="auto",
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        buttons=[],
        visible=False,
        elem_id="strip",
    )
    with gr.Accordion(words.DROP, open=False, elem_id="restore"):
        drop = gr.File(label=words.DROP_LABEL, file_types=[".png"], type="filepath", height=120, elem_id="drop")
    return PicturePanel(
        picture=picture,
        line=line,
        make=make,
        stop=stop,
        about=about,
        actions=actions,
        download=download,
        variation=variation,
        reuse=reuse,
        edit=edit,
        strip=strip,
        drop=drop,
        shown=gr.State(None),
        names=gr.State([]),
    )
