"""The left side, second half: a row of tabs with prompt templates, the prompt, a hint when A* is missing.

Own templates are saved and deleted here too: see `studio.ui.shelf` for where they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from studio.errors import HearsightError
from studio.presets import FINE, FREE, Template
from studio.recipe import MAX_PROMPT, Recipe
from studio.ui import status, words
from studio.ui.jobs import sentence
from studio.ui.shelf import Shelf, templates

Updates = dict[Any, Any]
WORD = "A*"
FINE_TOO = ("negative_prompt", *FINE)  # what a template may set beside the prompt
_WORD = re.compile(r"(?<![A-Za-z0-9])[Aa]\*")  # as studio.diffusion.prompt finds it, without importing torch
_QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class WordsPanel:
    """The controls of the words.

    hint: the row that offers to add A*, visible only while the prompt has none.  naming: the row that asks for a
    template's name.  whole: whether it keeps the fine controls too.  delete: only while an own one is chosen.
    stored: BrowserState, own templates where strangers share the app.
    """

    shelf: Shelf
    template: gr.Radio
    prompt: gr.Textbox
    hint: gr.Row
    add: gr.Button
    save: gr.Button
    delete: gr.Button
    naming: gr.Row
    name: gr.Textbox
    whole: gr.Checkbox
    sure: gr.Button
    keep: gr.Button
    line: gr.HTML
    stored: gr.BrowserState

    @property
    def inputs(self) -> dict[str, Any]:
        """What making a picture reads, by name."""
        return {"prompt": self.prompt}

    def restore(self, recipe: Recipe) -> Updates:
        """The updates that show the words of a recipe."""
        return {self.prompt: recipe.prompt, self.template: template_of(recipe.prompt), self.hint: hint(recipe.prompt)}

    def opened(self, stored: object) -> Updates:
        """The page is open: own templates stand beside the others."""
        return {self.template: gr.Radio(choices=choices(self.shelf.all(stored)))}

    def chosen(self, name: str, stored: object) -> tuple[Any, ...]:
        """A template replaces the prompt; free leaves it as it is, to be written on.

        Gives hint, delete, prompt, and what `FINE_TOO` names, as it was where the template does not set it.
        """
        own = self.shelf.own(stored)
        known = {one.id: one for one in (*templates(), *own) if one.id != FREE}
        deletable = gr.Button(visible=any(one.id == name for one in own))
        if name not in known:
            return gr.skip(), deletable, gr.skip(), *(gr.skip() for _ in FINE_TOO)
        one = known[name]
        return hint(one.prompt), deletable, one.prompt, *(one.fields.get(field, gr.skip()) for field in FINE_TOO)

    def written(self, text: str, name: str, stored: object) -> tuple[Any, ...]:
        """The prompt was written or set. Gives template, hint, delete."""
        own = self.shelf.own(stored)
        fits = template_of(text, (*templates(), *own), name)
        return fits, hint(text), gr.Button(visible=any(one.id == fits for one in own))

    def saved(self, title: str, whole: bool, prompt: str, stored: object, avoid: str, *fine: int | float) -> Updates:
        """The name of a new template was given. fine: the values of `FINE`."""
        try:
            kept = dict(zip(FINE, fine, strict=True)) if whole else None
            template, now = self.shelf.save(title, prompt, avoid, stored, kept)
        except HearsightError as error:
            return {self.line: status.mistake(sentence(error))}
        return {
            self.stored: now,
            self.template: gr.Radio(choices=choices(self.shelf.all(now)), value=template.id),
            self.naming: gr.Row(visible=False),
            self.name: "",
            self.delete: gr.Button(visible=True),
            self.line: status.note(
                (words.TEMPLATE_SAVED_WHOLE if whole else words.TEMPLATE_SAVED).format(name=template.title)
            ),
        }

    def deleted(self, name: str, prompt: str, stored: object) -> Updates:
        """An own template goes; its prompt stays, to be written on."""
        now = self.shelf.delete(name, stored)
        left = self.shelf.all(now)
        return {
            self.stored: now,
            self.template: gr.Radio(choices=choices(left), value=template_of(prompt, left)),
            self.delete: gr.Button(visible=False),
            self.line: status.note(words.TEMPLATE_DELETED),
        }


def has_word(prompt: str) -> bool:
    """Whether the prompt holds an A*."""
    return _WORD.search(prompt) is not None


def template_of(prompt: str, known: Sequence[Template] | None = None, rather: str = "") -> str:
    """The name of the template that is this prompt, or the free one. rather: of several, this one."""
    plain = " ".join(prompt.split())
    fitting = [one.id for one in known or templates() if " ".join(one.prompt.split()) == plain and one.id != FREE]
    return rather if rather in fitting else next(iter(fitting), FREE)


def choices(known: Sequence[Template]) -> list[tuple[str, str]]:
    """What the row of templates shows: the free one stands last among those that come with Hearsight."""
    return [(one.title, one.id) for one in known]


def hint(prompt: str) -> Any:
    """Whether to show the offer to add A*."""
    return gr.Row(visible=bool(prompt.strip()) and not has_word(prompt))


def build_words_panel(shelf: Shelf) -> WordsPanel:
    """Lay the controls out inside the current Gradio block; `wire_words` connects them."""
    known = templates()
    gr.HTML(f"<h2><span>2</span> {words.WORDS_HEADING}</h2>", elem_classes="heading")
    template = gr.Radio(
        choices(known),
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
    with gr.Row(elem_id="template_actions"):
        save = gr.Button(words.TEMPLATE_SAVE, size="sm", elem_id="template_save", min_width=150, scale=0)
        delete = gr.Button(
            words.TEMPLATE_DELETE, size="sm", elem_id="template_delete", min_width=150, scale=0, visible=False
        )
    with gr.Row(visible=False, elem_id="template_naming") as naming:
        name = gr.Textbox(
            "",
            label=words.TEMPLATE_NAME,
            placeholder=words.TEMPLATE_NAME_EXAMPLE,
            max_lines=1,
            max_length=40,
            elem_id="template_name",
            min_width=160,
        )
        whole = gr.Checkbox(False, label=words.TEMPLATE_WHOLE, elem_id="template_whole", min_width=40)
        sure = gr.Button(
            words.TEMPLATE_SURE, variant="primary", size="sm", elem_id="template_sure", min_width=90, scale=0
        )
        keep = gr.Button(words.CANCEL, size="sm", elem_id="template_cancel", min_width=90, scale=0)
    line = gr.HTML("", elem_id="template_status")
    stored = gr.BrowserState([], storage_key="hearsight-templates", secret="hearsight")
    return WordsPanel(shelf, template, prompt, row, add, save, delete, naming, name, whole, sure, keep, line, stored)


def wire_words(panel: WordsPanel, fine: Mapping[str, Component], demo: gr.Blocks) -> None:
    """Connect the controls. fine: by the recipe's names, those of `FINE_TOO` among them, which templates may set."""
    fine_too = [fine[name] for name in FINE_TOO]

    def added(text: str) -> Any:
        text = f"{text.rstrip()} {WORD}".strip()
        return {panel.prompt: text, panel.hint: gr.Row(visible=False)}

    chosen = [panel.hint, panel.delete, panel.prompt, *fine_too]
    panel.template.input(panel.chosen, [panel.template, panel.stored], chosen, **_QUIET)
    # change and not input, which Gradio does not send for the first text that is pasted
    panel.prompt.change(
        panel.written,
        [panel.prompt, panel.template, panel.stored],
        [panel.template, panel.hint, panel.delete],
        trigger_mode="always_last",
        **_QUIET,
    )
    panel.add.click(added, panel.prompt, [panel.prompt, panel.hint], **_QUIET)
    panel.save.click(lambda: (gr.Row(visible=True), ""), None, [panel.naming, panel.line], **_QUIET)
    panel.keep.click(lambda: (gr.Row(visible=False), ""), None, [panel.naming, panel.line], **_QUIET)
    gr.on(
        [panel.sure.click, panel.name.submit],
        panel.saved,
        [panel.name, panel.whole, panel.prompt, panel.stored, *fine_too],
        [panel.stored, panel.template, panel.naming, panel.name, panel.delete, panel.line],
        **_QUIET,
    )
    panel.delete.click(
        panel.deleted,
        [panel.template, panel.prompt, panel.stored],
        [panel.stored, panel.template, panel.delete, panel.line],
        **_QUIET,
    )
    demo.load(panel.opened, panel.stored, panel.template, **_QUIET)
