"""The Journey tab: pictures along a way through the sounds of the desk, or others, and the film of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from studio.errors import InputError
from studio.journey.settings import Journey
from studio.journey.sheet import Sheet
from studio.limits import limits
from studio.recipe import MAX_TRACKS, Recipe, Track
from studio.ui import jobs, status, travels, words
from studio.ui.album import Album, new_visitor, show
from studio.ui.create import CreateTab
from studio.ui.fine_panel import model_defaults, seed_of
from studio.ui.journey_controls import build_look, build_result, build_way, length_line
from studio.ui.journey_delete import Deleting
from studio.ui.menus import spoken_fields
from studio.ui.tracks import arrangement, used

Updates = dict[Any, Any]
JOURNEY_ID = "journey"
CELL = 112  # px, of the sheet while it grows
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_LIGHT: dict[str, Any] = {"queue": False, **_QUIET}
_CHANGING = ("from_db", "to_db", "duration", "hop")
_OF_CREATE = ("negative_prompt", "guidance_scale", "sound_strength")


def read(values: Mapping[str, Any], model: str, adapter: str) -> tuple[Recipe, Journey]:
    """The recipe and the journey that the controls stand for.

    values: by the names of `JourneyTab.inputs`. Raises HearsightError when one cannot be used, or there is no sound.
    """
    files = values["journey_files"] or []
    if len(files) > MAX_TRACKS:
        raise InputError(words.JOURNEY_MOST.format(most=MAX_TRACKS, count=len(files)))
    sounds = {"tracks": tuple(Track.of(file) for file in files)} if files else arrangement(values)
    recipe = Recipe(
        **sounds,
        prompt=values["journey_prompt"],
        seed=seed_of(values["journey_seed"]),
        num_inference_steps=values["journey_steps"],
        width=values["journey_width"],
        height=values["journey_height"],
        model=model,
        adapter=adapter,
        # Phrases that were written by hand would be the same in every picture.
        **spoken_fields(values, by_hand=False),
        **{name: values[name] for name in _OF_CREATE},
    )
    hop = (values["journey_hop"] or "").strip().replace(",", ".")
    try:
        way = {name: values[f"journey_{name}"] for name in Journey.model_fields if f"journey_{name}" in values}
        journey = Journey(**way | {"hop": float(hop) if hop else None})
    except ValueError:
        raise InputError(words.JOURNEY_BAD_HOP.format(text=hop)) from None
    return recipe, journey


@dataclass(frozen=True)
class JourneyTab:
    """The controls of the tab and what their events do.

    touched: State of the names of controls that somebody has set, which then no longer follow the Create tab.
    followed: State of str, the image model whose size and steps the sliders show.
    shown: State of bool, whether there is a journey in view, or one is being made.
    """

    create: CreateTab
    controls: dict[str, Any]
    sounds: gr.HTML
    about: gr.HTML
    length: gr.HTML
    picture: gr.Image
    film: gr.Video
    line: gr.HTML
    make: gr.Button
    stop: gr.Button
    sheet: gr.Image
    facts: gr.HTML
    actions: gr.Row
    mp4: gr.DownloadButton
    gif: gr.DownloadButton
    png: gr.DownloadButton
    zip: gr.DownloadButton
    deleting: Deleting
    touched: gr.State
    shown: gr.State
    followed: gr.State

    @property
    def inputs(self) -> dict[str, Any]:
        """Everything a journey is read from, by name."""
        fine = {name: self.create.fine.inputs[name] for name in _OF_CREATE}
        create = self.create
        return {**create.sound.inputs, **create.models.inputs, **fine, **self.controls, "visitor": create.visitor}

    @property
    def changing(self) -> list[Any]:
        """Everything that making a journey may change."""
        files = [self.actions, self.mp4, self.gif, self.png, self.zip, *self.deleting.changing]
        return [self.picture, self.film, self.line, self.make, self.stop, self.sheet, self.facts, *files, self.shown]

    def folder(self, visitor: str | None) -> Path:
        """Where this visitor's journeys are: beside the pictures, and apart from other visitors' on a shared app."""
        service = self.create.service
        name = (visitor or new_visitor()) if service.hosted else None
        return Album.of(service.pictures.parent / "journeys", name).folder

    def made(self, request: gr.Request, **values: Any) -> Iterator[Updates]:
        """Make journey was pressed."""
        service, recipe = self.create.service, None
        try:
            recipe, journey = read(values, values["image_model"], values["adapter"])
            yield {
                self.make: gr.Button(words.MAKE_BUSY, interactive=False),
                self.stop: gr.Button(interactive=True),
                self.line: status.busy(words.STARTING),
                self.shown: True,
            }
            sheet: Sheet | None = None
            session = str(request.session_hash)
            for moment in travels.travel(service, session, self.folder(values["visitor"]), recipe, journey):
                if isinstance(moment, travels.Grown):
                    sheet = sheet or Sheet(moment.frame.total, moment.frame.image.size, CELL)
                    sheet.add(moment.frame.image, moment.frame.caption)
                yield self._moment(moment, sheet)
            yield self.unlocked()
        except Exception as error:  # a sentence on the page, never a trace; GeneratorExit (tab closed) passes by
            text = jobs.sentence(error, recipe)
            yield {self.line: status.mistake(text), **self.unlocked()}
            raise gr.Error(escape(text, quote=False), print_exception=False) from None

    def _moment(self, moment: travels.Moment, sheet: Sheet | None) -> Updates:
        match moment:
            case travels.Reading():
                return {self.line: status.busy(words.JOURNEY_READING)}
            case jobs.Waiting(ahead=ahead, seconds=seconds):
                return {self.line: status.waiting(ahead, seconds)}
            case jobs.Loading(model=model):
                return {self.line: status.loading(model)}
            case travels.Growing(painting=one):
                line = status.travelling(one.number + 1, one.total, one.step.index, one.step.total, one.eta)
                if one.step.preview is None:
                    return {self.line: line}
                return {self.line: line, **self._growing(one.step.preview)}
            case travels.Grown(frame=frame):
                alt = words.JOURNEY_SHEET_ALT.format(count=frame.number + 1, total=frame.total)
                page = gr.Image(None if sheet is None else sheet.page, visible=True, alt_text=alt)
                return {**self._growing(frame.image), self.sheet: page}
            case travels.Filming():
                return {self.line: status.busy(words.JOURNEY_FILMING)}
            case travels.Ended():
                return {self.line: status.note(words.JOURNEY_STOPPED_EARLY)}
            case travels.Arrived():
                if moment.count < moment.total:
                    text = words.JOURNEY_STOPPED.format(count=moment.count, total=moment.total)
                else:
                    text = words.DONE.format(seconds=status.length(moment.seconds))
                facts = words.JOURNEY_ABOUT_FILM.format(
                    count=moment.count, seconds=status.length(moment.film_seconds), seed=moment.recipe.seed
                )
                about = f'<div class="about"><q>{escape(moment.recipe.prompt)}</q><span>{escape(facts)}</span></div>'
                return {**self._arrived(moment.folder), self.line: status.note(text), self.facts: about}

    def _growing(self, image: Any) -> Updates:
        return {
            self.picture: gr.Image(image, visible=True),
            self.film: gr.Video(visible=False),
            self.actions: gr.Row(visible=False),
            self.facts: "",
            **self.deleting.offered(None),
        }

    def _arrived(self, folder: Path) -> Updates:
        files = travels.Files.of(folder)
        return {
            self.picture: gr.Image(None, visible=False),
            self.film: gr.Video(show(files.film), visible=True),
            self.sheet: gr.Image(show(files.sheet), visible=True),
            self.actions: gr.Row(visible=True),
            self.mp4: gr.DownloadButton(value=show(files.film)),
            self.gif: gr.DownloadButton(value=show(files.gif)),
            self.png: gr.DownloadButton(value=show(files.sheet)),
            self.zip: gr.DownloadButton(value=show(files.pictures)),
            **self.deleting.offered(folder),
        }

    def _gone(self) -> Updates:
        empty = {self.film: gr.Video(None, visible=False), self.sheet: gr.Image(None, visible=False), self.facts: ""}
        line = status.note(words.JOURNEY_DELETED)
        return {**empty, self.actions: gr.Row(visible=False), self.line: line, self.shown: False}

    def unlocked(self) -> Updates:
        """Make journey can be pressed again, whatever happened."""
        return {self.make: gr.Button(words.JOURNEY_MAKE, interactive=True), self.stop: gr.Button(interactive=False)}

    def stopped(self, request: gr.Request) -> Any:
        """Stop was pressed: the step in hand is finished first."""
        return status.busy(words.STOPPING) if self.create.service.stop(str(request.session_hash)) else gr.skip()

    def selected(self, prompt: str, touched: str, shown: bool, followed: str, **values: Any) -> Updates:
        """The tab was opened: what nobody has set here follows the Create tab, size and steps its image model; the
        latest journey is in view.
        """
        updates = {} if followed == values["image_model"] else self._follow(values["image_model"])
        if "prompt" not in touched:
            updates[self.controls["journey_prompt"]] = prompt
        names = sound_names(values)
        kind = values["journey_kind"]
        if "kind" not in touched:
            kind = "morph" if len(names) > 1 else "volume"
            updates |= {self.controls["journey_kind"]: kind, **self.choices(kind)}
        updates[self.sounds] = sounds_line(names, bool(values["journey_files"]), kind)
        folder = None if shown else travels.latest(self.folder(values["visitor"]))
        if folder is not None:
            updates |= {**self._arrived(folder), self.line: status.note(words.JOURNEY_LATEST), self.shown: True}
        return updates

    def _follow(self, model: str) -> Updates:
        """Another image model was chosen: its own size and steps."""
        like, most = model_defaults(model), limits()
        size, steps = most.below("size", like["picture_size"]), most.below("steps", like["num_inference_steps"])
        sizes = {"width": int(size), "height": int(size), "steps": int(steps)}
        return {**{self.controls[f"journey_{name}"]: one for name, one in sizes.items()}, self.followed: model}

    def choices(self, kind: str) -> Updates:
        """The controls of this way, and a line that says what it does."""
        volume, window = kind == "volume", kind == "window"
        return {
            self.about: f'<p class="hint" role="status">{words.JOURNEY_ABOUT[kind]}</p>',
            self.controls["journey_from_db"]: gr.Slider(visible=volume),
            self.controls["journey_to_db"]: gr.Slider(visible=volume),
            self.controls["journey_duration"]: gr.Slider(visible=window),
            self.controls["journey_hop"]: gr.Textbox(visible=window),
        }

    def chosen(self, touched: str, **values: Any) -> Updates:
        """A way was chosen."""
        kind = values["journey_kind"]
        line = sounds_line(sound_names(values), bool(values["journey_files"]), kind)
        return {**self.choices(kind), self.sounds: line, self.touched: f"{touched} kind"}

    def dropped(self, touched: str, **values: Any) -> Updates:
        """Files were dropped, moved or taken away: several ask for a morph, one for a window, unless chosen."""
        files, kind, names = values["journey_files"] or [], values["journey_kind"], sound_names(values)
        updates: Updates = {}
        if files and "kind" not in touched:
            kind = "morph" if len(files) > 1 else "window"
            updates = {self.controls["journey_kind"]: kind, **self.choices(kind)}
        return {**updates, self.sounds: sounds_line(names, bool(files), kind)}


def sound_names(values: Mapping[str, Any]) -> list[str]:
    """The names of the sounds that a journey would use, in their order."""
    if values["journey_files"]:
        return [Path(file).name for file in values["journey_files"]]
    slots = used(values)
    solo = any(one.solo for one in slots)
    heard = [one for one in slots if not one.mute and (one.solo or not solo)]
    return [one.name for one in heard]


def sounds_line(names: Sequence[str], files: bool, kind: str) -> str:
    """Which sounds are used, and what is missing for this way, as HTML."""
    if not names:
        return f'<p class="journey-sounds">{words.JOURNEY_NO_SOUND}</p>'
    joined = (words.JOURNEY_ARROW if kind == "morph" else ", ").join(f"<b>{escape(name)}</b>" for name in names)
    line = (words.JOURNEY_FROM_FILES if files else words.JOURNEY_FROM_DESK).format(sounds=joined)
    if kind == "morph" and len(names) < 2:
        line += f" {words.JOURNEY_MORPH_NEEDS}"
    return f'<p class="journey-sounds" role="status">{line}</p>'


def build_journey_tab(create: CreateTab, tab: gr.Tab) -> JourneyTab:
    """Lay the tab out inside the current Gradio block and wire it. tab: this one's own."""
    controls: dict[str, Any] = {}
    with gr.Row(elem_id="journey"):
        with gr.Column(scale=5, min_width=320, elem_id="journey_making"):
            with gr.Column(elem_classes="card"):
                sounds, about = build_way(controls)
            with gr.Column(elem_classes="card"):
                length = build_look(controls, create.service.model)
        with gr.Column(scale=6, min_width=320, elem_id="journey_result"), gr.Column(elem_classes="card"):
            result = build_result()
    built = JourneyTab(
        create=create,
        controls=controls,
        sounds=sounds,
        about=about,
        length=length,
        touched=gr.State(""),
        shown=gr.State(False),
        followed=gr.State(create.service.model),
        **result,
    )
    _wire(built, tab)
    return built


def _wire(journey: JourneyTab, tab: gr.Tab) -> None:
    create, controls = journey.create, journey.controls
    making = journey.make.click(
        journey.made, inputs_kwargs=journey.inputs, outputs=journey.changing, concurrency_limit=None, **_QUIET
    )
    making.then(journey.unlocked, None, [journey.make, journey.stop], **_LIGHT)  # also after a lost connection
    journey.stop.click(journey.stopped, None, journey.line, **_LIGHT)
    journey.deleting.wire(journey.folder, create.visitor, journey._gone, journey.changing, **_LIGHT)

    way = [journey.about, journey.sounds, *(controls[f"journey_{name}"] for name in _CHANGING)]
    states = {"touched": journey.touched, "shown": journey.shown, "followed": journey.followed}
    selecting = {**journey.inputs, "prompt": create.words.prompt, **states}
    size = [controls[f"journey_{name}"] for name in ("width", "height", "steps")]
    tab.select(
        journey.selected,
        inputs_kwargs=selecting,
        outputs=[
            *way,
            controls["journey_kind"],
            controls["journey_prompt"],
            *size,
            journey.followed,
            *journey.changing,
        ],
        **_LIGHT,
    )
    touching = {**journey.inputs, "touched": journey.touched}
    controls["journey_kind"].input(journey.chosen, inputs_kwargs=touching, outputs=[*way, journey.touched], **_LIGHT)
    controls["journey_files"].change(
        journey.dropped, inputs_kwargs=touching, outputs=[*way, controls["journey_kind"]], **_LIGHT
    )
    controls["journey_prompt"].input(lambda touched: f"{touched} prompt", journey.touched, journey.touched, **_LIGHT)
    timing = [controls[f"journey_{name}"] for name in ("frames", "fps", "playback")]
    gr.on([one.change for one in timing], length_line, timing, journey.length, trigger_mode="always_last", **_LIGHT)
