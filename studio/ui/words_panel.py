"""The left side, second half: a row of tabs with prompt templates, the prompt, a hint when A* is missing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import gradio as gr

from studio.presets import Template, load_templates
from studio.recipe import MAX_PROMPT, Recipe
from studio.ui import words

WORD = "A*"
FREE = "free"  # the template that replaces nothing
_WORD = re.compile(r"(?<![A-Za-z0-9])[Aa]\*")  # as studio.diffusion.prompt finds it, without importing torch
_QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class WordsPanel:
    """The controls of the words. hint: the row that offers to add A*, visible only while the prompt has none."""

    template: gr.Radio
    prompt: gr.Textbox
    hint: gr.Row

    @property
    def inputs(self) -> dict[str, Any]:
        """What making a picture reads, by name."""
        return {"prompt": self.prompt}

    def restore(self, recipe: Recipe) -> dict[Any, Any]:
        """The updates that show the words of a recipe."""
        return {self.prompt: recipe.prompt, self.template: template_of(recipe.prompt), self.hint: hint(recipe.prompt)}


@cache
def templates() -> tuple[Template, ...]:
    """The templates in their order, read once."""
    return load_templates()


def has_word(prompt: str) -> bool:
    """Whether the prompt holds an A*."""
    return _WORD.search(prompt) is not None


def template_of(prompt: str) -> str:
    """The name of the template that is this prompt, or the free one."""
    plain = " ".join(prompt.split())
    return next((one.id for one in templates() if one.prompt == plain and one.id != FREE), FREE)


def hint(prompt: str) -> Any:
    """Whether to show the offer to add A*."""
    return gr.Row(visible=bool(prompt.strip()) and not has_word(prompt))


def build_words_panel() -> WordsPanel:
    """Lay the controls out inside the current Gradio block and wire them."""
    known = templates()
    gr.HTML(f"<h2><span>2</span> {words.WORDS_HEADING}</h2>", elem_classes="heading")
    template = gr.Radio(
        [(one.title, one.id) for one in known],
        value=known[0].id,
        label=words.TEMPLATE,
        show_label=False,
        container=False,
        elem_id="template",
        elem_classes="choices",
    )
    prompt = gr.Textbox(
        known[0].prompt, label=words.PROMPT, lines=1, max_lines=4, max_length=MAX_PROMPT, elem_id="prompt"
    )
    gr.HTML(f'<p class="hint">{words.PROMPT_HINT}</p>')
    with gr.Row(visible=False, elem_id="no_word") as row:
        gr.HTML(f'<p role="status">{words.NO_WORD}</p>')
        add = gr.Button(words.ADD_WORD, size="sm", elem_id="add_word", min_width=90, scale=0)
    panel = WordsPanel(template, prompt, row)

    by_name: dict[str, Template] = {one.id: one for one in known if one.id != FREE}

    def chosen(name: str) -> Any:
        """A template replaces the prompt; free leaves it as it is, to be written on."""
        return {prompt: by_name[name].prompt, row: gr.Row(visible=False)} if name in by_name else {prompt: gr.skip()}

    def written(text: str) -> Any:
        return {template: template_of(text), row: hint(text)}

    def added(text: str) -> Any:
        text = f"{text.rstrip()} {WORD}".strip()
        return {prompt: text, template: template_of(text), row: gr.Row(visible=False)}

    template.input(chosen, template, [prompt, row], **_QUIET)
    # change and not input, which Gradio does not send for the first text that is pasted
    prompt.change(written, prompt, [template, row], trigger_mode="always_last", **_QUIET)
    add.click(added, prompt, [prompt, template, row], **_QUIET)
    return panel
