"""Deleting the journey in view: a button, and the question whether it is sure."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from studio.ui import keeping, words

Updates = dict[Any, Any]


@dataclass(frozen=True)
class Deleting:
    """The controls. name: State of the folder's name of the finished journey in view, empty when there is none."""

    delete: gr.Button
    asking: gr.Row
    sure: gr.Button
    keep: gr.Button
    name: gr.State

    @property
    def changing(self) -> list[Any]:
        """Everything that changes with the journey in view."""
        return [self.delete, self.asking, self.name]

    def offered(self, folder: Path | None) -> Updates:
        """A journey has come into view, or (None) has gone from it."""
        return {**self._asked(False, folder is not None), self.name: "" if folder is None else folder.name}

    def _asked(self, yes: bool, there: bool = True) -> Updates:
        return {self.asking: gr.Row(visible=yes), self.delete: gr.Button(visible=there and not yes)}

    def wire(
        self,
        folder_of: Callable[[str | None], Path],
        visitor: gr.BrowserState,
        gone: Callable[[], Updates],
        changing: list[Any],
        **how: Any,
    ) -> None:
        """Wire the buttons. folder_of: a visitor's journeys.  gone: what the page shows afterwards, of `changing`."""

        def deleted(name: str, visitor: str | None) -> Updates:
            for folder in keeping.journeys_in(folder_of(visitor)):
                if folder.name == name:  # a name from the browser is only ever compared
                    shutil.rmtree(folder, ignore_errors=True)
            return {**gone(), **self.offered(None)}

        asking = [self.asking, self.delete]
        self.delete.click(lambda: self._asked(True), None, asking, **how)
        self.keep.click(lambda: self._asked(False), None, asking, **how)
        self.sure.click(deleted, [self.name, visitor], changing, **how)


def build_deleting() -> Deleting:
    """Lay the controls out inside the current Gradio block."""
    delete = gr.Button(words.DELETE, size="md", visible=False, elem_id="journey_delete", min_width=90)
    with gr.Row(visible=False, elem_id="journey_asking") as asking:
        gr.HTML(f'<p role="alert">{words.JOURNEY_ASK_DELETE}</p>')
        sure = gr.Button(words.SURE, variant="stop", size="sm", elem_id="journey_sure", min_width=90)
        keep = gr.Button(words.KEEP, size="sm", elem_id="journey_keep", min_width=90)
    return Deleting(delete, asking, sure, keep, gr.State(""))
