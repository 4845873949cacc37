"""Image model and adapter: the two menus, what fits and what would be downloaded, and the phrases of A*."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from studio.errors import HearsightError
from studio.recipe import Recipe
from studio.ui import downloads, jobs, menus, status, words
from studio.ui.phrases_panel import PhrasesPanel, build_phrases_panel
from studio.ui.record_panel import is_here
from studio.ui.service import Service

Updates = dict[Any, Any]
_QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class ModelPanel:
    """The controls, shared by all tabs. asking: the row that asks whether to download.  question: what it says."""

    service: Service
    fold: gr.Accordion
    model: gr.Dropdown
    line: gr.HTML
    asking: gr.Row
    question: gr.HTML
    fetch: gr.Button
    adapter: gr.Dropdown
    about: gr.HTML
    phrases: PhrasesPanel

    @property
    def inputs(self) -> dict[str, Any]:
        """What a recipe is made with, by name."""
        return {"image_model": self.model, "adapter": self.adapter, **self.phrases.inputs}

    @property
    def changing(self) -> list[Any]:
        """Everything that the updates below may change."""
        own = [self.model, self.line, self.asking, self.question, self.adapter, self.about]
        return [*own, *self.phrases.changing]

    def opened(self, model: str, adapter: str, request: gr.Request) -> Updates:
        """The panel was unfolded: what is in the folders now, and how much memory is free now."""
        return self._shown(model, adapter, here=self._here(request))

    def chosen(self, model: str, adapter: str, request: gr.Request) -> Updates:
        """An image model was chosen: the one before is let go of, and the adapters are those that fit this one."""
        self.service.let_go(model)
        return self._shown(model, adapter, here=self._here(request))

    def restore(self, recipe: Recipe) -> Updates:
        """The updates that show what a picture was made with."""
        spoken = menus.settled(recipe.model, recipe.adapter) == menus.CONCEPTS
        shown = self._shown(recipe.model, recipe.adapter, here=False)
        return {**shown, **self.phrases.restore(recipe, spoken)}

    def _here(self, request: gr.Request) -> bool:
        """Whether somebody sits in front of this machine, who may say what is downloaded."""
        return not self.service.hosted and is_here(request)

    def _shown(self, model: str, adapter: str, here: bool) -> Updates:
        one = menus.model(self.service, model)
        fitting, others, missing = menus.adapters(one)
        if adapter in [each.name for each in others]:
            adapter = menus.AUTO
        ask = here and one is not None and one.folder is None and not one.lacks and one.download > 0
        question = "" if one is None or not ask else self._question(one)
        entries = menus.model_choices(menus.models(self.service), model)
        return {
            self.model: gr.Dropdown(entries, value=model),
            self.line: _hint(menus.model_line(one)),
            self.asking: gr.Row(visible=ask),
            self.question: question,
            self.adapter: gr.Dropdown(menus.adapter_choices(fitting, adapter), value=adapter),
            self.about: self._about(model, adapter, others, missing),
            **self.phrases.shown(menus.settled(model, adapter) == menus.CONCEPTS),
        }

    def _about(self, model: str, adapter: str, others: list[Any], missing: list[Any]) -> str:
        return _hint(menus.adapter_line(menus.settled(model, adapter), others, missing))

    def _question(self, one: Any) -> str:
        said = words.MODEL_ASK.format(model=menus.title_of(one.title), size=menus.gigabytes(one.download))
        return f'<p role="alert">{escape(said)}</p>'

    def adapted(self, model: str, adapter: str) -> Updates:
        """An adapter was chosen."""
        _, others, missing = menus.adapters(menus.model(self.service, model))
        return {
            self.about: self._about(model, adapter, others, missing),
            **self.phrases.shown(menus.settled(model, adapter) == menus.CONCEPTS),
        }

    def fetched(self, model: str, adapter: str, request: gr.Request) -> Iterator[Updates]:
        """Download was pressed: hidden is not locked, so it is asked again who asks."""
        if not self._here(request):
            yield {self.line: status.mistake(words.MODEL_NOT_YOURS)}
            return
        one = menus.model(self.service, model)
        size = 0 if one is None else one.download
        try:
            yield {self.fetch: gr.Button(interactive=False)}
            for done in downloads.fetch(model):
                yield {self.line: status.downloading(menus.title_of(model if one is None else one.title), done, size)}
            yield self._shown(model, adapter, here=True)
        except HearsightError as error:
            yield {self.line: status.mistake(jobs.sentence(error))}
        finally:
            yield {self.fetch: gr.Button(interactive=True)}


def _hint(text: str) -> str:
    return f'<p class="hint" role="status">{escape(text)}</p>'


def build_model_panel(service: Service) -> ModelPanel:
    """Lay the menus out inside the current Gradio block, with what the page begins with: the rest is listed when they
    are unfolded, because that needs torch. `wire_models` connects them.
    """
    with gr.Accordion(words.MODEL_PANEL, open=False, elem_id="models") as fold:
        model = gr.Dropdown(
            [(menus.title_of(service.model), service.model)],
            value=service.model,
            label=words.SETTINGS_MODEL,
            filterable=False,
            elem_id="image_model",
        )
        line = gr.HTML("", elem_id="model_line")
        with gr.Row(visible=False, elem_id="model_asking") as asking:
            question = gr.HTML("", elem_id="model_question")
            fetch = gr.Button(
                words.MODEL_FETCH, variant="primary", size="sm", elem_id="model_fetch", min_width=110, scale=0
            )
        adapter = gr.Dropdown(
            menus.adapter_choices([], service.adapter),
            value=service.adapter,
            label=words.SETTINGS_ADAPTER,
            filterable=False,
            elem_id="adapter",
        )
        about = gr.HTML("", elem_id="adapter_line")
        phrases = build_phrases_panel(service.adapter == menus.CONCEPTS)
    return ModelPanel(service, fold, model, line, asking, question, fetch, adapter, about, phrases)


def wire_models(panel: ModelPanel) -> None:
    """Connect the menus."""
    both = [panel.model, panel.adapter]
    panel.fold.expand(panel.opened, both, panel.changing, **_QUIET)
    panel.model.input(panel.chosen, both, panel.changing, trigger_mode="always_last", **_QUIET)
    panel.adapter.input(panel.adapted, both, [panel.about, *panel.phrases.changing], **_QUIET)
    panel.fetch.click(
        panel.fetched,
        both,
        [*panel.changing, panel.fetch],
        concurrency_limit=None,
        show_progress="hidden",
        api_visibility="private",
    )
