"""The Create tab: a sound and words on the left, the picture they become on the right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from studio.errors import HearsightError, InputError
from studio.library.png import read_recipe
from studio.recipe import Recipe
from studio.ui import jobs, status, words
from studio.ui.album import Album, new_visitor
from studio.ui.fine_panel import FinePanel, build_fine_panel, seed_of
from studio.ui.menus import same_voice, spoken_fields
from studio.ui.model_panel import ModelPanel, build_model_panel, wire_models
from studio.ui.picture_panel import PicturePanel, build_picture_panel
from studio.ui.record_panel import build_record_panel
from studio.ui.service import Service
from studio.ui.shelf import Shelf
from studio.ui.sound_panel import SoundPanel, build_sound_panel
from studio.ui.sounds import Look
from studio.ui.tracks import arrangement, missing_sound, unchanged
from studio.ui.words_panel import WordsPanel, build_words_panel, wire_words

if TYPE_CHECKING:
    from studio.engine import Engine

Updates = dict[Any, Any]
CREATE_ID = "create"
_FINE = ("num_inference_steps", "guidance_scale", "sound_strength", "width", "height")
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def read(values: Mapping[str, Any], model: str, adapter: str) -> Recipe:
    """The recipe that the controls stand for.

    values: by the names of the panels' `inputs`.  model, adapter: what a recipe that begins here names.
    A restored picture's own word is used until one of its sounds, or how they are joined, or what makes a word of
    them, is changed: that makes it again exactly.
    Raises HearsightError when a value is out of its bounds, when the sound cannot be used, or when there is neither a
    sound nor a picture that carries one.
    """
    fields: dict[str, Any] = {
        "prompt": values["prompt"],
        "negative_prompt": values["negative_prompt"],
        "seed": seed_of(values["seed"]) if values["keep_seed"] else None,
        **{name: values[name] for name in _FINE},
        **{name: values[name] for name in ("count", "preview_every")},
    }
    carried, spoken = values["carried"], spoken_fields(values)
    if isinstance(carried, Recipe) and unchanged(carried, values):
        if same_voice(carried, values):
            return carried.replace(edit=None, **fields)  # its photo, if it had one, is not here
        if spoken.get("concepts") and missing_sound(values):  # written by hand, they need no sound
            return carried.unheard().replace(edit=None, model=model, adapter=adapter, **spoken, **fields)
    return Recipe(**arrangement(values), model=model, adapter=adapter, **spoken, **fields)


@dataclass(frozen=True)
class CreateTab:
    """The panels of the tab and what their events do.

    visitor: BrowserState, the name of this browser where strangers share the app.
    """

    service: Service
    sound: SoundPanel
    words: WordsPanel
    fine: FinePanel
    models: ModelPanel
    picture: PicturePanel
    visitor: gr.BrowserState

    @property
    def inputs(self) -> dict[str, Any]:
        """Everything a recipe is read from, by name."""
        panels = (self.sound, self.words, self.fine, self.models)
        return {name: one for panel in panels for name, one in panel.inputs.items()} | {"visitor": self.visitor}

    @property
    def clean_voice(self) -> gr.Checkbox:
        """The browser's own switch for recording speech, which stands at the first sound."""
        clean = self.sound.first.clean_voice
        assert clean is not None  # it is built there
        return clean

    def album(self, visitor: str | None) -> Album:
        """Where this visitor's pictures are: the owner's folder, or on a shared app one for each browser."""
        return Album.of(self.service.pictures, (visitor or new_visitor()) if self.service.hosted else None)

    def made(self, request: gr.Request, **values: Any) -> Iterator[Updates]:
        """Make was pressed."""
        try:
            recipe = read(values, values["image_model"], values["adapter"])
        except HearsightError as error:
            yield from self._failed(error, None)
        else:
            yield from self._work(request, recipe, self.album(values["visitor"]))

    def listened_for_phrases(self, request: gr.Request, **values: Any) -> Iterator[Updates]:
        """Show the words was pressed: what the ear would make A* of, as the controls stand; nothing is drawn."""
        phrases, found = self.models.phrases, []
        try:
            heard = {**values, "concepts": "", "carried": None}
            recipe = self.service.allowed(read(heard, values["image_model"], values["adapter"]))

            def order(engine: Engine) -> None:
                found.append(engine.resolve(recipe)[0].concepts or "")

            with self.service.stoppable(str(request.session_hash)) as stop:
                for moment in jobs.glimpse(self.service, stop, order):
                    if isinstance(moment, jobs.Waiting):
                        yield {phrases.line: status.waiting(moment.ahead, moment.seconds)}
                    elif isinstance(moment, jobs.Loading):
                        yield {phrases.line: status.loading(moment.model)}
            yield {phrases.line: ""} | (phrases.said(found[0]) if found else {})
        except Exception as error:
            yield {phrases.line: status.mistake(jobs.sentence(error))}

    def varied(self, request: gr.Request, shown: Recipe | None, visitor: str | None) -> Iterator[Updates]:
        """Another variation was pressed: the picture in view once more, with a new seed."""
        if shown is not None and shown.edit is not None:
            yield from self._failed(InputError(words.EDIT_AGAIN), None)
        elif shown is not None:
            again = shown.replace(seed=jobs.new_seed(), count=1)
            yield from self._work(request, again, self.album(visitor))

    def _work(self, request: gr.Request, recipe: Recipe, album: Album) -> Iterator[Updates]:
        recipe = self.service.at_home(recipe)
        try:
            yield self.picture.begun()
            seen = False
            for moment in jobs.make(self.service, str(request.session_hash), album, recipe):
                updates = self.picture.moment(moment, album)
                if not seen and self.picture.picture in updates:
                    seen = True
                    updates = {**self.picture.taken_over(recipe), **updates}
                if isinstance(moment, jobs.Saved):
                    updates[self.fine.seed] = str(moment.recipe.seed)
                    if recipe.concepts is None and moment.recipe.concepts is not None:
                        updates |= self.models.phrases.said(moment.recipe.concepts)
                yield updates
            yield self.picture.unlocked()
        except Exception as error:  # a sentence on the page, never a trace; GeneratorExit (tab closed) passes by
            yield from self._failed(error, recipe)

    def _failed(self, error: Exception, recipe: Recipe | None) -> Iterator[Updates]:
        text = jobs.sentence(error, recipe)
        yield {self.picture.line: status.mistake(text), **self.picture.unlocked()}
        raise gr.Error(escape(text, quote=False), print_exception=False) from None

    def seed_written(self, text: str, shown: Recipe | None) -> Any:
        """A seed somebody writes is a seed somebody wants; the one of the picture in view was written by us."""
        written = text.strip() and (shown is None or text.strip() != str(shown.seed))
        return True if written else gr.skip()

    def stopped(self, request: gr.Request) -> Any:
        """Stop was pressed: the step in hand is finished first."""
        if self.service.stop(str(request.session_hash)):
            return status.busy(words.STOPPING)
        return gr.skip()

    def restored(self, recipe: Recipe | None, *facts: object) -> Updates:
        """Every control as it was when a picture was made. facts: what is known about each sound that is there."""
        if recipe is None:
            return {self.picture.line: gr.skip()}
        recipe = self.service.at_home(recipe)
        return {
            **self.sound.restore(recipe, facts),
            **self.words.restore(recipe),
            **self.fine.restore(recipe),
            **self.models.restore(recipe),
        }

    def dropped(self, path: str, *facts: object) -> Updates:
        """A picture was dropped: show it, and set every control to what made it."""
        try:
            recipe = read_recipe(Path(path))
        except HearsightError:
            text = words.NO_SETTINGS.format(name=Path(path).name)
            return {self.picture.drop: None, self.picture.line: status.mistake(text)}
        return {**self.brought_back(Path(path), recipe, *facts), self.picture.drop: None}

    def brought_back(self, path: Path, recipe: Recipe, *facts: object) -> Updates:
        """A finished picture from elsewhere in view, with every control as it was. Changes what `restoring` lists."""
        return {
            **self.restored(recipe, *facts),
            **self.picture.finished(path, recipe),
            self.picture.line: status.note(words.RESTORED.format(name=path.name)),
        }

    @property
    def controls(self) -> list[Any]:
        """Everything that a recipe sets."""
        blank = Recipe()
        own = [*self.sound.changing, *self.words.restore(blank), *self.fine.restore(blank)]
        return [*own, *self.models.changing]

    @property
    def restoring(self) -> list[Any]:
        """Everything that bringing a picture back may change."""
        return [*self.controls, *self.picture.changing]

    def listen_after(self, event: Any) -> None:
        """When the event is over, let the ear say what it hears in each sound."""
        event.then(
            self.sound.desk.listened_alone,
            inputs_kwargs=self.sound.inputs,
            outputs=self.sound.heard,
            concurrency_id="ear",
            trigger_mode="always_last",
            **_QUIET,
        )

    def picked(self, event: gr.SelectData, names: list[str], visitor: str | None) -> Updates:
        """A picture of the strip was chosen: bring it into view."""
        index = event.index if isinstance(event.index, int) else 0
        path = self.album(visitor).find(names[index]) if index < len(names) else None
        if path is None:
            return self.picture.refilled(self.album(visitor))
        return self.picture.finished(path, read_recipe(path))

    def opened(self, visitor: str | None) -> Updates:
        """The page was opened or loaded again."""
        name = (visitor or new_visitor()) if self.service.hosted else None
        return {**self.picture.opened(Album.of(self.service.pictures, name)), self.visitor: name}


def build_create_tab(service: Service, demo: gr.Blocks) -> CreateTab:
    """Lay the tab out inside the current Gradio block and wire it."""
    with gr.Row(elem_id="create"):
        with gr.Column(scale=5, min_width=320, elem_id="making"):
            with gr.Column(elem_classes="card"):
                sound = build_sound_panel(service)
                build_record_panel(service, sound.desk, demo)
            with gr.Column(elem_classes="card"):
                prompt = build_words_panel(Shelf(None if service.hosted else service.pictures.parent / "presets"))
                fine = build_fine_panel(service.model)
                models = build_model_panel(service)
                wire_words(prompt, fine.inputs, demo)
        with gr.Column(scale=6, min_width=320, elem_id="result"), gr.Column(elem_classes="card"):
            facts = sound.first.facts.value
            picture = build_picture_panel(facts if isinstance(facts, Look) else None)
    visitor = gr.BrowserState(None, storage_key="hearsight-visitor", secret="hearsight")
    tab = CreateTab(service, sound, prompt, fine, models, picture, visitor)
    _wire(tab, demo)
    return tab


def _wire(tab: CreateTab, demo: gr.Blocks) -> None:
    picture = tab.picture
    phrases = tab.models.phrases
    made = [*picture.changing, tab.fine.seed, phrases.concepts, phrases.spoken]
    # No limit here: requests wait in the service's own line, where they can see their place and be stopped.
    work: dict[str, Any] = {"concurrency_limit": None, **_QUIET}
    making = picture.make.click(tab.made, inputs_kwargs=tab.inputs, outputs=made, **work)
    varying = picture.variation.click(tab.varied, [picture.shown, tab.visitor], made, **work)
    for event in (making, varying):  # also after a lost connection, so that Make is never locked
        event.then(picture.unlocked, None, [picture.make, picture.stop], queue=False, **_QUIET)
    picture.stop.click(tab.stopped, None, picture.line, queue=False, **_QUIET)

    wire_models(tab.models)
    tab.models.model.input(tab.fine.follow, tab.models.model, [*tab.fine.follow(tab.service.model)], **_QUIET)
    phrases.show.click(tab.listened_for_phrases, inputs_kwargs=tab.inputs, outputs=phrases.changing, **work)
    # change and not input, which Gradio does not send for the first text that is pasted
    seed = [tab.fine.seed, picture.shown]
    tab.fine.seed.change(tab.seed_written, seed, tab.fine.keep_seed, queue=False, **_QUIET)
    facts = tab.sound.facts
    tab.listen_after(
        picture.reuse.click(tab.restored, [picture.shown, *facts], [*tab.controls, picture.line], **_QUIET)
    )
    tab.listen_after(
        picture.drop.upload(tab.dropped, [picture.drop, *facts], [*tab.restoring, picture.drop], **_QUIET)
    )
    picture.strip.select(tab.picked, [picture.names, tab.visitor], picture.changing, **_QUIET)
    first = tab.sound.first
    first.facts.change(picture.placeholder, [first.facts, picture.shown], [picture.picture, picture.line], **_QUIET)

    demo.load(tab.opened, tab.visitor, [*picture.changing, tab.visitor], queue=False, **_QUIET)
    seen = gr.State(None)
    measuring = demo.load(first.completed, first.facts, seen, **_QUIET)
    tab.listen_after(measuring.then(first.measured, [first.facts, seen], [first.facts, first.line], **_QUIET))
