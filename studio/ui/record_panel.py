"""Recording by the devices of the artist's own machine: the folded panel of the sound desk.

It is there only where it makes sense: PortAudio is installed, the app is not hosted, and the request comes from this
machine itself; otherwise it would record the server's room.
"""

from __future__ import annotations

import ipaddress
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import gradio as gr

from studio.errors import HearsightError, InputError
from studio.sound.clip import Clip, spoken_time
from studio.sound.loudness import is_silent
from studio.sound.record import Recorder, devices
from studio.sound.write import write_wav
from studio.ui import status, words
from studio.ui.album import show
from studio.ui.desk_panel import DeskPanel
from studio.ui.jobs import sentence
from studio.ui.meter import meter
from studio.ui.service import Service
from studio.ui.tracks import LETTERS, most_sounds

Updates = dict[Any, Any]
LONGEST = 600.0  # s
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_METER_EVERY = 0.25  # s
_MONO, _STEREO = 1, 2


class Takes:
    """The recorders of all open pages, by Gradio's name for a page, and where finished takes are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._recorders: dict[str, Recorder] = {}
        self._lock = threading.Lock()

    def start(self, session: str, device: str | int | None, stereo: bool) -> None:
        """Begin a take. Raises InputError; a take of this page that was under way is dropped."""
        self.drop(session)
        recorder = Recorder(device, stereo=stereo, limit=LONGEST).start()
        with self._lock:
            self._recorders[session] = recorder

    def get(self, session: str) -> Recorder | None:
        """The recorder of a page that records."""
        return self._recorders.get(session)

    def stop(self, session: str) -> tuple[Path, Clip, bool]:
        """End the take and write it: the file, its sound, and whether moments are missing. Raises InputError."""
        with self._lock:
            recorder = self._recorders.pop(session, None)
        if recorder is None:
            raise InputError("Nothing is being recorded: press Record first.")
        clip = recorder.stop()
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{words.RECORD_NAME.format(time=f'{datetime.now():%Y%m%d-%H%M%S-%f}')}.wav"
        write_wav(clip, path, "PCM_24")
        return path, clip, recorder.overflows > 0

    def drop(self, session: str) -> None:
        """The page was closed: the device is free again, nothing is kept."""
        with self._lock:
            recorder = self._recorders.pop(session, None)
        if recorder is not None:
            recorder.close()


@dataclass(frozen=True)
class RecordPanel:
    """The controls of the panel. desk: where a take goes."""

    service: Service
    takes: Takes
    desk: DeskPanel
    panel: gr.Accordion
    device: gr.Dropdown
    channels: gr.Radio
    into: gr.Dropdown
    record: gr.Button
    stop: gr.Button
    level: gr.HTML
    line: gr.HTML
    timer: gr.Timer

    def opened(self, request: gr.Request) -> Updates:
        """The page is open: the panel is shown to the person in front of the machine, with the devices it has now."""
        if self.service.hosted or not is_here(request):
            return {self.panel: gr.Accordion(visible=False)}
        try:
            known = devices()
        except HearsightError:  # no PortAudio: `hearsight doctor` says how to get it
            known = []
        if not known:
            return {self.panel: gr.Accordion(visible=False)}
        return {
            self.panel: gr.Accordion(visible=True),
            self.device: gr.Dropdown(
                [(f"{one.name} ({one.system})", one.index) for one in known], value=known[0].index
            ),
        }

    def recorded(self, request: gr.Request, device: int | None, channels: int) -> Updates:
        """Record was pressed."""
        try:
            self._check(request)
            self.takes.start(str(request.session_hash), device, channels == _STEREO)
        except HearsightError as error:
            return {self.line: status.mistake(sentence(error))}
        return {
            self.record: gr.Button(interactive=False),
            self.stop: gr.Button(interactive=True),
            self.timer: gr.Timer(active=True),
            self.line: "",
        }

    def ticked(self, request: gr.Request) -> Updates:
        """The level right now, and how long the take is."""
        recorder = self.takes.get(str(request.session_hash))
        if recorder is None:
            return {self.level: gr.skip(), self.timer: gr.Timer(active=False)}
        updates: Updates = {self.level: meter(recorder.level)}
        if recorder.recording:
            return {**updates, self.line: status.note(status.length(recorder.seconds))}
        return {**updates, self.line: status.note(words.RECORD_FULL)}

    @property
    def shown(self) -> list[Any]:
        """What changes when a take goes into a track that was not shown."""
        return [self.desk.fold, self.desk.opened, self.desk.add, *self.desk.columns.values()]

    def stopped(self, request: gr.Request, letter: str, opened: str) -> Updates:
        """Stop was pressed: the take becomes the sound of a track, which looks at it like at any new sound."""
        idle: Updates = {
            self.record: gr.Button(interactive=True),
            self.stop: gr.Button(interactive=False),
            self.timer: gr.Timer(active=False),
            self.level: meter(None),
        }
        try:
            self._check(request)
            path, clip, gaps = self.takes.stop(str(request.session_hash))
        except HearsightError as error:
            return {**idle, self.line: status.mistake(sentence(error))}
        said = [words.RECORD_DONE.format(seconds=spoken_time(clip.seconds), letter=letter, name=path.name)]
        if abs(clip.samples).max() >= 0.999:
            said.append(words.RECORD_TOO_LOUD)
        if gaps:
            said.append(words.RECORD_GAPS)
        if is_silent(clip):
            said.append(words.RECORD_SILENT)
        sound = next(track.sound for track in self.desk.tracks if track.letter == letter)
        place: Updates = {}
        if letter != LETTERS[0]:
            place = {self.desk.fold: gr.Accordion(open=True), **self.desk.show("".join(sorted({*opened, letter})))}
        return {**idle, **place, sound: show(path), self.line: status.note(" ".join(said))}

    def left(self, request: gr.Request) -> None:
        """The page was closed."""
        self.takes.drop(str(request.session_hash))

    def _check(self, request: gr.Request) -> None:
        """Hidden is not locked: whoever calls the event from elsewhere is refused."""
        if self.service.hosted or not is_here(request):
            raise InputError(words.RECORD_NOT_HERE)


def is_here(request: gr.Request) -> bool:
    """Whether a request comes from this machine itself, and not through a proxy that stands for somebody else."""
    forwarded = any(request.headers.get(name) for name in ("x-forwarded-for", "forwarded", "x-real-ip"))
    host = request.client.host if request.client else ""
    try:
        return not forwarded and ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def build_record_panel(service: Service, desk: DeskPanel, demo: gr.Blocks) -> RecordPanel:
    """Lay the controls out inside the current Gradio block and wire them."""
    with gr.Accordion(words.RECORD_HERE, open=False, visible=False, elem_id="record_here") as panel:
        gr.HTML(f'<p class="hint">{words.RECORD_HERE_ABOUT}</p>')
        with gr.Row():
            device = gr.Dropdown([], label=words.RECORD_DEVICE, elem_id="record_device", min_width=200, scale=3)
            channels = gr.Radio(
                [(words.MONO, _MONO), (words.STEREO, _STEREO)],
                value=_MONO,
                label=words.RECORD_CHANNELS,
                elem_id="record_channels",
                elem_classes="chips",
                min_width=160,
                scale=2,
            )
            into = gr.Dropdown(
                list(LETTERS[: most_sounds()]),
                value=LETTERS[0],
                label=words.RECORD_INTO,
                elem_id="record_into",
                min_width=90,
                scale=1,
            )
        with gr.Row():
            record = gr.Button(words.RECORD, size="md", elem_id="record", min_width=120)
            stop = gr.Button(
                words.RECORD_STOP, size="md", variant="stop", interactive=False, elem_id="record_stop", min_width=120
            )
        level = gr.HTML(meter(None), elem_id="record_level")
        line = gr.HTML(status.note(words.RECORD_READY), elem_id="record_status")
    timer = gr.Timer(_METER_EVERY, active=False)
    takes = Takes(service.pictures.parent / "recordings")
    made = RecordPanel(service, takes, desk, panel, device, channels, into, record, stop, level, line, timer)
    demo.load(made.opened, None, [panel, device], queue=False, **_QUIET)
    demo.unload(made.left)
    record.click(made.recorded, [device, channels], [record, stop, timer, line], queue=False, **_QUIET)
    # once: on a busy machine ticks must not pile up
    timer.tick(made.ticked, None, [level, line, timer], queue=False, trigger_mode="once", **_QUIET)
    sounds = [track.sound for track in desk.tracks]
    stopping = [record, stop, timer, level, line, *sounds, *made.shown]
    stop.click(made.stopped, [into, desk.opened], stopping, queue=False, **_QUIET)
    return made
