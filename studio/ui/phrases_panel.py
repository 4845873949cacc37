"""What A* is made of, where the adapter makes it of phrases: which ear, how many, how even, and the words by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.fields import settings
from studio.recipe import Recipe
from studio.ui import menus, words
from studio.ui.fine_panel import span

Updates = dict[Any, Any]


@dataclass(frozen=True)
class PhrasesPanel:
    """The controls. spoken: State of str, the phrases that the ear said last; what differs was written by hand."""

    box: gr.Column
    ear: gr.Dropdown
    top_k: gr.Slider
    temperature: gr.Slider
    concepts: gr.Textbox
    show: gr.Button
    line: gr.HTML
    spoken: gr.State

    @property
    def inputs(self) -> dict[str, Any]:
        """The controls by the recipe's names, and what the ear said last."""
        names = (*menus.SPOKEN, "concepts", "spoken")
        return {name: getattr(self, name) for name in names}

    @property
    def changing(self) -> list[Any]:
        """Everything that the updates below may change."""
        return [self.box, self.line, *self.inputs.values()]

    def shown(self, wanted: bool) -> Updates:
        """The controls in view, with the ears that are here now, or not."""
        updates: Updates = {self.box: gr.Column(visible=wanted)}
        return updates | {self.ear: gr.Dropdown(menus.ear_choices())} if wanted else updates

    def restore(self, recipe: Recipe, wanted: bool) -> Updates:
        """The updates that show a recipe; the phrases of a finished picture are what the ear said."""
        ear = recipe.ear or menus.EAR
        return {
            **self.shown(wanted),
            **({self.ear: gr.Dropdown(menus.ear_choices(ear), value=ear)} if wanted else {}),
            self.top_k: recipe.top_k,
            self.temperature: recipe.temperature,
            **self.said(recipe.concepts or ""),
        }

    def said(self, phrases: str) -> Updates:
        """The ear has said phrases: they are in the field, to be read and changed."""
        return {self.concepts: phrases, self.spoken: phrases}


def build_phrases_panel(visible: bool) -> PhrasesPanel:
    """Lay the controls out inside the current Gradio block."""
    fields = settings(Recipe)
    with gr.Column(visible=visible, elem_id="phrases") as box:
        with gr.Row():
            ear = gr.Dropdown(
                [(words.EAR_TITLES[menus.EAR], menus.EAR)],
                value=menus.EAR,
                label=words.SETTINGS_EAR,
                filterable=False,
                elem_id="ear",
                min_width=180,
            )
            sliders = [
                gr.Slider(
                    **span(fields[name], fields[name].default),
                    step=fields[name].step,
                    label=label,
                    info=info,
                    elem_id=name,
                    min_width=180,
                )
                for name, label, info in (
                    ("top_k", words.TOP_K, words.TOP_K_INFO),
                    ("temperature", words.TEMPERATURE, words.TEMPERATURE_INFO),
                )
            ]
        concepts = gr.Textbox(
            "",
            label=words.PHRASES,
            info=words.PHRASES_INFO,
            placeholder=words.PHRASES_EXAMPLE,
            lines=1,
            max_lines=4,
            max_length=1000,
            elem_id="concepts",
        )
        show = gr.Button(words.PHRASES_SHOW, size="sm", elem_id="phrases_show", min_width=150, scale=0)
        line = gr.HTML("", elem_id="phrases_line")
    return PhrasesPanel(box, ear, sliders[0], sliders[1], concepts, show, line, gr.State(""))
