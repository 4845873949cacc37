"""The Live tab: a microphone is listened to, and what it hears becomes a new picture about every second."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from studio.errors import HearsightError
from studio.fields import Setting, settings
from studio.recipe import MAX_PROMPT, Recipe, Track
from studio.sound.decode import read_clip
from studio.ui import jobs, status, words
from studio.ui.create import CreateTab
from studio.ui.jobs import Loading, Waiting
from studio.ui.live import LONGEST_WINDOW, Frame, Listening, Lost, Room, Rooms, Wishes, listen, wish
from studio.ui.live_bits import SETTLED, forget_bits
from studio.ui.meter import meter
from studio.ui.service import Service

Updates = dict[Any, Any]
LIVE_ID = "live"
CHUNK = 0.4  # s of sound that the browser sends at once
SWEEP = 60.0  # s between two looks for bits that were never read
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_START = "() => { window.hearsight.microphone(true); return []; }"
_STOP = "() => { window.hearsight.microphone(false); return []; }"


@dataclass(frozen=True)
class LiveTab:
    """The controls of the tab and what their events do."""

    service: Service
    create: CreateTab
    rooms: Rooms
    microphone: gr.Audio
    start: gr.Button
    stop: gr.Button
    level: gr.HTML
    heard: gr.HTML
    picture: gr.Image
    line: gr.HTML
    keep: gr.Button
    kept_line: gr.HTML
    new_seed: gr.Button
    prompt: gr.Textbox
    window: gr.Slider
    smoothness: gr.Slider
    gain: gr.Slider
    threshold: gr.Slider
    strength: gr.Slider
    seed: gr.Number

    @property
    def inputs(self) -> dict[str, Any]:
        """The wishes, by name."""
        return {field.name: getattr(self, field.name) for field in fields(Wishes)}

    @property
    def changing(self) -> list[Any]:
        """Everything that listening changes."""
        return [self.picture, self.line, self.heard, self.keep, self.start, self.stop]

    def arrived(self, path: str | None, request: gr.Request) -> Any:
        """The browser sent a bit of sound: into the page's room with it, and off the disk."""
        room = self.rooms.get(str(request.session_hash))
        if path is None:
            return gr.skip()
        try:
            clip = read_clip(path)
        except HearsightError:
            # The last bit may be shorter than a sound can be. And Gradio names files by their content, so that a muted
            # microphone sends the same file again and again, which may be deleted by now.
            if room is not None:
                room.alive()
            return gr.skip()
        finally:
            _forget(path)
        if room is None or room.stop.is_set():
            return gr.skip()
        room.add(clip.samples, clip.rate)
        if time.time() - room.swept > SWEEP:
            room.swept = time.time()
            forget_bits(room.opened)
        return meter(room.level)

    def listened(self, request: gr.Request, **values: Any) -> Iterator[Updates]:
        """The microphone is open: draw until it is closed."""
        session, number = str(request.session_hash), 0
        room = Room(_wishes(values))
        try:
            self.rooms.open(session, room)
            yield {
                **self._locked(),
                self.line: status.busy(words.LIVE_LISTENING),
                self.heard: status.heard_note(words.LISTENING),
            }
            for moment in listen(self.service, room):
                number += isinstance(moment, Frame)
                room.ending = _ended(number)  # ahead of time: Gradio may drop this generator at any yield
                if updates := self._shown(moment, number):
                    yield updates
                if isinstance(moment, Lost):
                    room.ending = status.mistake(words.LIVE_LOST)
                    return
            room.ending = _ended(number)
            yield {self.line: room.ending}
        except Exception as error:  # a sentence on the page; GeneratorExit (tab closed) passes by
            room.ending = status.mistake(jobs.sentence(error, Recipe()))
            yield {self.line: room.ending}
        finally:
            room.close()
            last = threading.Timer(SETTLED + 5, forget_bits, [room.opened])
            last.daemon = True
            last.start()

    def _shown(self, moment: object, number: int) -> Updates:
        """What one moment changes on the page."""
        match moment:
            case Waiting(ahead=ahead, seconds=seconds):
                return {self.line: status.waiting(ahead, seconds)}
            case Loading():
                return {self.line: status.busy(words.LOADING)}
            case Listening():
                return {self.line: status.busy(words.LIVE_LISTENING)}
            case Lost():
                return {self.line: status.mistake(words.LIVE_LOST)}
            case Frame():
                label = moment.heard[0][0].replace("_", " ") if moment.heard else ""
                took = status.length(moment.seconds)
                return {
                    **self._locked(),
                    self.picture: moment.picture,
                    self.heard: status.heard(moment.heard, moment.lufs),
                    self.line: status.note(words.LIVE_FRAME.format(number=number, seconds=took, heard=label)),
                    self.keep: gr.Button(interactive=True),
                }
        return {}

    def _locked(self) -> Updates:
        """It can be stopped. Said with every picture: busy pages were seen that had not taken it the first time."""
        return {
            self.start: gr.Button(words.LIVE_BUSY, interactive=False),
            self.stop: gr.Button(interactive=True),
        }

    def unlocked(self, request: gr.Request) -> Updates:
        """It can be started again, whatever happened, and why it ended is said.

        Here once more, because the page gets nothing of `listened` any more when its microphone is closed.
        """
        room = self.rooms.get(str(request.session_hash))
        return {
            self.line: room.ending if room is not None and room.ending else gr.skip(),
            self.start: gr.Button(words.LIVE_START, interactive=True),
            self.stop: gr.Button(interactive=False),
            self.level: meter(None),
        }

    def stopped(self, request: gr.Request) -> None:
        """Stop was pressed, or the microphone was closed: the step in hand is finished first."""
        room = self.rooms.get(str(request.session_hash))
        if room is not None:
            room.close()

    def wished(self, request: gr.Request, **values: Any) -> None:
        """A control was moved: the next picture follows it."""
        room = self.rooms.get(str(request.session_hash))
        if room is not None:
            wish(room, **vars(_wishes(values)))

    def reseeded(self, request: gr.Request) -> int:
        """New seed was pressed."""
        seed = jobs.new_seed()
        room = self.rooms.get(str(request.session_hash))
        if room is not None:
            wish(room, seed=seed)
        return seed

    def kept(self, request: gr.Request, visitor: str | None) -> str:
        """Keep was pressed: the picture in view goes into the gallery, with the recipe that makes it again."""
        room = self.rooms.get(str(request.session_hash))
        if room is None or room.shown is None:
            return status.note(words.LIVE_NOTHING_TO_KEEP)
        shown = room.shown
        try:
            path = self.create.album(visitor).save(shown.picture, shown.recipe, shown.heard)
        except HearsightError as error:
            return status.mistake(jobs.sentence(error))
        return status.note(words.LIVE_KEPT.format(name=path.name))

    def left(self, request: gr.Request) -> None:
        """The page was closed."""
        self.rooms.forget(str(request.session_hash))


def _wishes(values: dict[str, Any]) -> Wishes:
    """The controls' values, with the prompt never empty and the seed a whole number of a recipe's range."""
    bounds = settings(Recipe)["seed"]
    seed = min(max(int(values["seed"] or 0), 0), int(bounds.maximum or 0))
    return Wishes(**{**values, "prompt": values["prompt"].strip() or Wishes.prompt, "seed": seed})


def _ended(number: int) -> str:
    """What is said when it was stopped after so many pictures."""
    return status.note(words.LIVE_STOPPED_ONE if number == 1 else words.LIVE_STOPPED.format(number=number))


def _forget(path: str) -> None:
    """The browser's bits of sound are deleted as soon as they are read; those it skips, by `forget_bits`."""
    file = Path(path)
    if file.is_relative_to(get_upload_folder()):
        with suppress(OSError):
            file.unlink()


def build_live_tab(service: Service, create: CreateTab, demo: gr.Blocks) -> LiveTab:
    """Lay the tab out inside the current Gradio block and wire it."""
    with gr.Row(elem_id="live"):
        with gr.Column(scale=5, min_width=320, elem_id="live_sound"), gr.Column(elem_classes="card"):
            gr.HTML(f"<h2>{words.LIVE_HEADING}</h2>", elem_classes="heading")
            microphone = gr.Audio(
                label=words.LIVE_MICROPHONE,
                sources=["microphone"],
                type="filepath",
                streaming=True,
                buttons=[],
                elem_id="live_mic",
                waveform_options=gr.WaveformOptions(waveform_color="#a78bfa", waveform_progress_color="#6d28d9"),
            )
            with gr.Row(elem_id="live_bar"):
                start = gr.Button(words.LIVE_START, variant="primary", elem_id="live_start", scale=4, min_width=120)
                stop = gr.Button(
                    words.STOP, variant="stop", interactive=False, elem_id="live_stop", scale=1, min_width=80
                )
            level = gr.HTML(meter(None), elem_id="live_level")
            heard = gr.HTML(status.heard_note(words.LIVE_LATER), elem_id="live_heard")
            controls = _build_controls()
            gr.HTML(f'<p class="hint">{words.LIVE_PRIVATE}</p>')
        with gr.Column(scale=6, min_width=320, elem_id="live_result"), gr.Column(elem_classes="card"):
            picture = gr.Image(
                None,
                label=words.PICTURE,
                show_label=False,
                format="jpeg",
                interactive=False,
                buttons=["fullscreen"],
                alt_text=words.LIVE_PICTURE_ALT,
                elem_id="live_picture",
            )
            line = gr.HTML(status.note(words.LIVE_READY), elem_id="live_status")
            with gr.Row():
                keep = gr.Button(words.LIVE_KEEP, interactive=False, elem_id="live_keep", min_width=120)
                new_seed = gr.Button(words.LIVE_NEW_SEED, elem_id="live_new_seed", min_width=100)
            kept_line = gr.HTML("", elem_id="live_kept")  # its own: the other one changes with every picture
    tab = LiveTab(
        service=service,
        create=create,
        rooms=Rooms(),
        microphone=microphone,
        start=start,
        stop=stop,
        level=level,
        heard=heard,
        picture=picture,
        line=line,
        keep=keep,
        kept_line=kept_line,
        new_seed=new_seed,
        **controls,
    )
    _wire(tab, demo)
    return tab


def _build_controls() -> dict[str, Any]:
    """What may be changed while it listens; by the names of `Wishes`."""
    like = Wishes()
    prompt = gr.Textbox(
        like.prompt, label=words.LIVE_PROMPT, lines=1, max_lines=3, max_length=MAX_PROMPT, elem_id="live_prompt"
    )

    def slider(name: str, label: str, info: str, low: float, high: float, step: float) -> gr.Slider:
        value = getattr(like, name)
        return gr.Slider(low, high, value, step=step, label=label, info=info, elem_id=f"live_{name}", min_width=210)

    gain, strength = settings(Track)["gain"], settings(Recipe)["sound_strength"]
    with gr.Row(elem_classes="faders"):
        window = slider("window", words.LIVE_WINDOW, words.LIVE_WINDOW_INFO, 1, LONGEST_WINDOW, 0.5)
        smoothness = slider("smoothness", words.LIVE_SMOOTHNESS, words.LIVE_SMOOTHNESS_INFO, 0, 0.95, 0.05)
    with gr.Row(elem_classes="faders"):
        # The gain is in the picture's recipe, so it stays inside what a track may have.
        louder = slider("gain", words.LIVE_GAIN, words.LIVE_GAIN_INFO, -20, _top(gain, 40), gain.step or 0.5)
        threshold = slider("threshold", words.LIVE_THRESHOLD, words.LIVE_THRESHOLD_INFO, -50, -5, 1)
    with gr.Row(elem_classes="faders"):
        strong = slider(
            "strength",
            words.SOUND_STRENGTH,
            strength.help.split("; ")[0] + ".",
            strength.minimum or 0,
            _top(strength, 3),
            strength.step or 0.05,
        )
        seed = gr.Number(
            jobs.new_seed(),
            label=words.SEED,
            precision=0,
            minimum=0,
            maximum=settings(Recipe)["seed"].maximum,
            elem_id="live_seed",
            min_width=210,
        )
    return {
        "prompt": prompt,
        "window": window,
        "smoothness": smoothness,
        "gain": louder,
        "threshold": threshold,
        "strength": strong,
        "seed": seed,
    }


def _top(setting: Setting, otherwise: float) -> float:
    return otherwise if setting.maximum is None else setting.maximum


def _wire(tab: LiveTab, demo: gr.Blocks) -> None:
    # No limit here: pictures wait in the service's own line, and a bit of sound must never wait at all.
    work: dict[str, Any] = {"concurrency_limit": None, **_QUIET}
    tab.start.click(None, None, None, js=_START)
    tab.stop.click(tab.stopped, None, None, js=_STOP, queue=False, **_QUIET)
    tab.microphone.stream(tab.arrived, tab.microphone, tab.level, stream_every=CHUNK, **work)
    listening = tab.microphone.start_recording(tab.listened, inputs_kwargs=tab.inputs, outputs=tab.changing, **work)
    listening.then(tab.unlocked, None, [tab.line, tab.start, tab.stop, tab.level], js=_STOP, queue=False, **_QUIET)
    tab.microphone.stop_recording(tab.stopped, None, None, queue=False, **_QUIET)
    moved = [control.change for control in tab.inputs.values()]
    gr.on(moved, tab.wished, inputs_kwargs=tab.inputs, outputs=None, queue=False, trigger_mode="always_last", **_QUIET)
    tab.new_seed.click(tab.reseeded, None, tab.seed, queue=False, **_QUIET)
    tab.keep.click(tab.kept, tab.create.visitor, tab.kept_line, **_QUIET)
    demo.unload(tab.left)
