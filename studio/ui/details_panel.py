"""The right side of the Gallery tab: one picture, how it was made, and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from studio.library.entries import Entry
from studio.recipe import Recipe
from studio.ui import status, words
from studio.ui.album import show

Updates = dict[Any, Any]
_QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class DetailsPanel:
    """The controls of the chosen picture. asking: the row that asks whether to delete it."""

    picture: gr.Image
    facts: gr.HTML
    actions: gr.Column
    reuse: gr.Button
    edit: gr.Button
    favourite: gr.Button
    download: gr.DownloadButton
    delete: gr.Button
    asking: gr.Row
    sure: gr.Button
    keep: gr.Button

    @property
    def changing(self) -> list[Any]:
        """Everything that the updates below may change."""
        return [self.picture, self.facts, self.actions, self.favourite, self.download, self.asking]

    def shown(self, entry: Entry, recipe: Recipe, path: Path) -> Updates:
        """A picture and what it was made with: the file itself, so that a download keeps its recipe."""
        served = show(path)
        mark = words.UNMARK if entry.favourite else words.MARK
        return {
            self.picture: gr.Image(served, alt_text=alternative(entry), visible=True),
            self.facts: facts(entry, recipe),
            self.actions: gr.Column(visible=True),
            self.favourite: gr.Button(mark),
            self.download: gr.DownloadButton(value=served),
            self.asking: gr.Row(visible=False),
        }

    def emptied(self) -> Updates:
        """No picture is chosen."""
        return {
            self.picture: gr.Image(None, visible=False),
            self.facts: _nothing(),
            self.actions: gr.Column(visible=False),
            self.asking: gr.Row(visible=False),
        }


def alternative(entry: Entry) -> str:
    """What a screen reader says for a picture."""
    sounds = ", ".join(entry.sounds)
    return words.ALTERNATIVE.format(prompt=entry.prompt, sounds=sounds) if sounds else entry.prompt


def facts(entry: Entry, recipe: Recipe) -> str:
    """How a picture was made, as HTML: what is not known is left out."""
    steps, guidance = recipe.num_inference_steps, recipe.guidance_scale
    rows = [
        (words.SOUND_HEADING, ", ".join(entry.sounds)),
        (
            words.HEARD,
            ", ".join(f"{label.replace('_', ' ')} {status.percent(part)}" for label, part in entry.heard[:3]),
        ),
        (words.NEGATIVE_PROMPT, recipe.negative_prompt or ""),
        (words.SEED, "" if entry.seed is None else str(entry.seed)),
        (words.STEPS, "" if steps is None else str(steps)),
        (words.GUIDANCE, "" if guidance is None else f"{guidance:g}"),
        (words.SOUND_STRENGTH, "" if recipe.sound_strength == 1 else f"{recipe.sound_strength:g}"),
        (words.SIZE, f"{entry.width} x {entry.height} px"),
        (words.MODEL, entry.model),
        (words.WHEN, f"{entry.made:%Y-%m-%d %H:%M}"),
        (words.FILE, entry.name),
    ]
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows if value)
    return f'<div class="details"><q>{escape(entry.prompt)}</q><dl>{listed}</dl></div>'


def _nothing() -> str:
    return f'<p class="choose">{escape(words.CHOOSE)}</p>'


def build_details_panel() -> DetailsPanel:
    """Lay the controls out inside the current Gradio block, with no picture chosen."""
    picture = gr.Image(
        None,
        label=words.PICTURE,
        show_label=False,
        interactive=False,
        buttons=["fullscreen"],
        visible=False,
        elem_id="gallery_picture",
    )
    text = gr.HTML(_nothing(), elem_id="gallery_facts")
    with gr.Column(visible=False, elem_id="gallery_actions") as actions:
        reuse = gr.Button(words.REUSE, variant="primary", size="md", elem_id="gallery_reuse")
        with gr.Row():
            edit = gr.Button(words.EDIT_THIS, size="md", elem_id="gallery_edit", min_width=90)
            favourite = gr.Button(words.MARK, size="md", elem_id="gallery_favourite", min_width=90)
            download = gr.DownloadButton(words.DOWNLOAD, size="md", elem_id="gallery_download", min_width=90)
            delete = gr.Button(words.DELETE, size="md", elem_id="gallery_delete", min_width=90)
    with gr.Row(visible=False, elem_id="gallery_asking") as asking:
        gr.HTML(f'<p role="alert">{words.ASK_DELETE}</p>')
        sure = gr.Button(words.SURE, variant="stop", size="sm", elem_id="gallery_sure", min_width=90, scale=0)
        keep = gr.Button(words.KEEP, size="sm", elem_id="gallery_keep", min_width=90, scale=0)
    delete.click(lambda: gr.Row(visible=True), None, asking, **_QUIET)
    keep.click(lambda: gr.Row(visible=False), None, asking, **_QUIET)
    return DetailsPanel(picture, text, actions, reuse, edit, favourite, download, delete, asking, sure, keep)
