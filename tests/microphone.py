"""A sound system without a sound card: the part of sounddevice that Hearsight calls, with the same signatures.

tests/sound/test_record.py holds the signatures against the installed library's own source.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from studio.sound.clip import Samples

USB, BUILT_IN, PHONE = 0, 2, 3  # 1 is an output


class PortAudioError(Exception):
    """As the library raises it: a text and PortAudio's number."""


class CallbackStop(Exception):
    """Raised by a callback that wants no more."""


class FakeSystem(ModuleType):
    """Four devices, of which three can record. sound: the blocks [C, n] that any device delivers as it is started."""

    PortAudioError, CallbackStop = PortAudioError, CallbackStop

    def __init__(self, sound: Callable[[int], Iterable[Samples]]) -> None:
        super().__init__("sounddevice")
        self._sound = sound
        self.default = SimpleNamespace(device=[BUILT_IN, 1])
        self.busy = False  # another program holds the devices
        self.open: list[FakeStream] = []
        self.InputStream = lambda **settings: FakeStream(self, **settings)

    def query_hostapis(self, index: int | None = None) -> Any:
        """The sound systems of this machine."""
        return ({"name": "ALSA"}, {"name": "JACK"})

    def query_devices(self, device: Any = None, kind: Any = None) -> Any:
        """All devices."""
        return tuple(
            {
                "name": name,
                "index": index,
                "hostapi": system,
                "max_input_channels": channels,
                "default_samplerate": rate,
            }
            for index, (name, system, channels, rate) in enumerate(
                [
                    ("USB Audio: field recorder", 0, 2, 48_000.0),
                    ("HDMI", 0, 0, 48_000.0),
                    ("Built-in microphone", 0, 1, 16_000.0),
                    ("Phone: USB headset", 1, 1, 8_000.0),
                ]
            )
        )


class FakeStream:
    """Delivers everything the moment it is started, then stays open in silence."""

    def __init__(
        self,
        system: FakeSystem,
        *,
        samplerate: float,
        device: int,
        channels: int,
        dtype: str,
        callback: Callable[..., None],
    ) -> None:
        assert (float(samplerate), dtype) == (system.query_devices()[device]["default_samplerate"], "float32")
        self._system, self._channels, self._callback = system, channels, callback
        self.active = False

    def start(self) -> None:
        """Open; everything arrives."""
        if self._system.busy:
            raise PortAudioError("Error starting stream: Device unavailable", -9985)
        self.active = True
        self._system.open.append(self)
        for block in self._system._sound(self._channels):
            samples = np.ascontiguousarray(block.T)
            try:
                self._callback(samples, len(samples), None, SimpleNamespace(input_overflow=False))
            except CallbackStop:
                self.active = False
                return
            samples[:] = np.nan  # PortAudio uses the memory again

    def stop(self) -> None:
        """No more."""
        self.active = False

    def close(self) -> None:
        """Let go of the device."""
        if self in self._system.open:
            self._system.open.remove(self)


def beeps(seconds: float, level: float = 0.5, rate: int = 16_000) -> Callable[[int], Iterable[Samples]]:
    """440 Hz in blocks of 100 ms; the second channel is half as loud."""
    times = np.arange(round(seconds * rate)) / rate
    tone = (level * np.sin(2 * np.pi * 440 * times)).astype(np.float32)

    def blocks(channels: int) -> Iterable[Samples]:
        samples = np.stack([tone / 2**channel for channel in range(channels)])
        return [samples[:, first : first + rate // 10] for first in range(0, len(tone), rate // 10)]

    return blocks


def plug_in(monkeypatch: pytest.MonkeyPatch, sound: Callable[[int], Iterable[Samples]]) -> FakeSystem:
    """Let `import sounddevice` find the fake."""
    system = FakeSystem(sound)
    monkeypatch.setitem(sys.modules, "sounddevice", system)
    return system
