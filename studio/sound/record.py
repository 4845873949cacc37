"""Recording on the artist's own machine, by PortAudio: its input devices, a recorder with a level meter.

The only file that imports sounddevice, and only when somebody asks: where the system has no PortAudio, everything else
works as before, and `why_not` says what is missing. C channels, n samples of one block.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any, Self

import numpy as np

from studio.errors import InputError
from studio.sound.clip import MAX_RATE, MAX_SECONDS, MIN_RATE, Clip, Samples, spoken_time
from studio.sound.ring import Level, Ring

METER_SECONDS = 0.3  # what the level meter looks back on
WINDOW_SECONDS = 10.0  # what `latest` can give
HOW_TO_INSTALL = (
    "install the system's package (Debian and Ubuntu: apt install libportaudio2; Fedora: dnf install portaudio; "
    "Arch: pacman -S portaudio; macOS: brew install portaudio), then start Hearsight again"
)
_PATIENCE = 3.0  # s in which an open device must deliver something


@dataclass(frozen=True)
class Device:
    """An input device. index: PortAudio's, valid until the program ends.  system: ALSA, Core Audio, WASAPI, ...

    channels: the most it can record.  rate: its own, in Hz.  default: whether the system would choose it.
    """

    index: int
    name: str
    system: str
    channels: int
    rate: int
    default: bool


def why_not() -> str | None:
    """Why no device of this machine can be used, as a sentence with the remedy; None when recording is possible."""
    try:
        return None if devices() else "This machine has no microphone: connect one, then start Hearsight again."
    except InputError as error:
        return str(error)


def devices() -> list[Device]:
    """The input devices, the system's choice first. Raises InputError where there is no PortAudio."""
    sounddevice = _sounddevice()
    with _said(sounddevice):
        chosen = sounddevice.default.device[0]  # -1 or None when there is none
        systems = [str(one["name"]) for one in sounddevice.query_hostapis()]
        found = [
            Device(
                index=index,
                name=str(one["name"]),
                system=systems[one["hostapi"]],
                channels=int(one["max_input_channels"]),
                rate=round(one["default_samplerate"]),
                default=index == chosen,
            )
            for index, one in enumerate(sounddevice.query_devices())
            if one["max_input_channels"] > 0
        ]
    return sorted(found, key=lambda one: not one.default)


def find_device(wanted: str | int | None = None) -> Device:
    """The device with this number, or whose name holds this text; None = the system's choice.

    Raises InputError, naming what there is, when none or several fit.
    """
    known = devices()
    if not known:
        raise InputError("This machine has no microphone: connect one, then start Hearsight again.")
    if wanted is None:
        return known[0]
    text = str(wanted).strip()
    exact = [one for one in known if text == str(one.index) or text.lower() == one.name.lower()]
    fits = exact or [one for one in known if text.lower() in one.name.lower()]
    if len(fits) == 1 or (fits and len({one.name for one in fits}) == 1):  # one device, by several systems
        return fits[0]
    listed = ", ".join(f"{one.index} ({one.name})" for one in known)
    what = f"Several input devices fit {text!r}" if fits else f"There is no input device {text!r}"
    raise InputError(f"{what}: use the number of one of {listed}.")


class Recorder:
    """Records from one device: `start`, then `stop` for the Clip; in between `level`, `seconds`, `latest`.

    device: as in `find_device`.  stereo: two channels, else one.  limit: s after which it ends by itself, 0.1..1800.
    keep: False = nothing but the last 10 s is kept, for listening without an end; `stop` then gives those.
    name: of the Clip.  Also a context manager: leaving it closes the device, whatever happened.
    Raises InputError when there is no such device, or it cannot do this.
    """

    def __init__(
        self,
        device: str | int | None = None,
        *,
        stereo: bool = False,
        limit: float = MAX_SECONDS,
        keep: bool = True,
        name: str = "recording",
    ) -> None:
        if not 0.1 <= limit <= MAX_SECONDS:
            raise InputError(f"A recording may last from 0.1 to {MAX_SECONDS:g} s, not {limit:g} s: choose between.")
        self.device = find_device(device)
        self.channels = 2 if stereo else 1
        if self.channels > self.device.channels:
            raise InputError(f"The device {self.device.name!r} records in mono only: record without stereo.")
        if not MIN_RATE <= self.device.rate <= MAX_RATE:
            raise InputError(f"The device {self.device.name!r} works at {self.device.rate} Hz: choose another one.")
        self.limit, self.keep, self.name = limit, keep, name
        self._stream: Any = None
        self._blocks: list[Samples] = []
        self._ring = Ring(WINDOW_SECONDS)
        self._lock = threading.Lock()
        self._count = 0
        self._begun = self._last = 0.0  # when it was started, and when something last arrived
        self._most = round(limit * self.device.rate)
        self.overflows = 0  # how often the machine was too busy, so that a moment is missing

    def start(self) -> Self:
        """Open the device. Raises InputError when it refuses: in use, unplugged, forbidden by the system."""
        if self._stream is not None:
            raise InputError("This recorder is recording already: stop it first.")
        sounddevice = _sounddevice()
        with self._lock:
            self._blocks, self._count, self.overflows = [], 0, 0
            self._ring.clear()

        def arrived(samples: Any, frames: int, moment: Any, status: Any) -> None:
            """On PortAudio's own thread: float32 [n, C], whose memory is theirs."""
            left = self._most - self._count if self.keep else frames
            block = np.array(samples[: int(left)].T, dtype=np.float32, order="C")
            with self._lock:
                self.overflows += bool(status.input_overflow)
                self._count += block.shape[1]
                self._last = time.monotonic()
                if self.keep:
                    self._blocks.append(block)
                if block.shape[1]:
                    self._ring.add(block, self.device.rate)
            if self.keep and self._count >= self._most:
                raise sounddevice.CallbackStop

        with _said(sounddevice, self.device.name):
            stream = sounddevice.InputStream(
                samplerate=self.device.rate,
                device=self.device.index,
                channels=self.channels,
                dtype="float32",
                callback=arrived,
            )
            try:
                stream.start()
            except BaseException:
                stream.close()
                raise
        self._stream, self._begun = stream, time.monotonic()
        self._last = max(self._last, self._begun)
        return self

    @property
    def recording(self) -> bool:
        """Whether the device is open and delivers; False after the limit, and 3 s after it was unplugged."""
        alive = time.monotonic() - self._last < _PATIENCE  # some systems never say that a device is gone
        return self._stream is not None and bool(self._stream.active) and alive

    @property
    def seconds(self) -> float:
        """How long the recording is."""
        return self._count / self.device.rate

    @property
    def level(self) -> Level:
        """How loud the last 0.3 s were."""
        with self._lock:
            return self._ring.level(METER_SECONDS)

    def latest(self, seconds: float) -> Clip | None:
        """The last `seconds` (at most 10 s), or what there is; None when that is less than 0.05 s."""
        with self._lock:
            return self._ring.latest(seconds, self.name)

    def stop(self) -> Clip:
        """Close the device and give what was recorded.

        Raises InputError when it was never started, or the device has delivered nothing that can be used.
        """
        if self._stream is None:
            raise InputError("Nothing is being recorded: start a recording first.")
        waited = time.monotonic() - self._begun
        self.close()
        with self._lock:
            blocks, self._blocks = self._blocks, []
            clip = self._ring.latest(WINDOW_SECONDS, self.name)
        if clip is None:
            reason = f" in {spoken_time(waited)}" if waited > _PATIENCE else ""
            raise InputError(
                f"The device {self.device.name!r} has delivered no sound{reason}: record longer, "
                "or check that it is connected and that the system lets Hearsight use it."
            )
        return Clip(np.concatenate(blocks, axis=1), self.device.rate, self.name) if self.keep else clip

    def close(self) -> None:
        """Close the device; what was recorded since `start` can no longer be had. Closing twice is harmless."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        with _said(_sounddevice(), self.device.name, quiet=True):
            stream.stop()
        with _said(_sounddevice(), self.device.name, quiet=True):
            stream.close()

    def __enter__(self) -> Self:
        return self.start() if self._stream is None else self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _sounddevice() -> ModuleType:
    """The library. Raises InputError with the way to install it."""
    try:
        import sounddevice
    except ImportError:
        raise InputError("Recording here needs the Python package sounddevice: pip install sounddevice.") from None
    except OSError:  # its wheels for Linux come without PortAudio, and it looks for it at import
        raise InputError(f"Recording here needs PortAudio, which is missing: {HOW_TO_INSTALL}.") from None
    return sounddevice


@contextmanager
def _said(sounddevice: ModuleType, device: str = "", *, quiet: bool = False) -> Iterator[None]:
    """PortAudio's errors as a sentence. quiet: they do not matter, the device is being let go."""
    try:
        yield
    except sounddevice.PortAudioError as error:
        if quiet:
            return
        reason = str(error.args[0] if error.args else error).strip().rstrip(".:")
        what = f"The device {device!r} cannot be recorded from" if device else "The sound devices cannot be listed"
        raise InputError(
            f"{what} ({reason}): check that it is connected, that no other program holds it, and that the system "
            "lets Hearsight use the microphone."
        ) from None
