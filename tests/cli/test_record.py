"""`hearsight record` on a fake sound card."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest

from studio.cli.record import meter
from studio.sound.decode import read_clip
from studio.sound.ring import Level
from tests.cli.conftest import Done
from tests.microphone import FakeSystem, beeps, plug_in


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> FakeSystem:
    return plug_in(monkeypatch, beeps(6.0))


def test_devices_are_listed(system: FakeSystem, hearsight: Callable[..., Done]) -> None:
    done = hearsight("record", "--list")
    assert done.code == 0
    assert done.output.splitlines() == [
        "*   2  Built-in microphone, ALSA, 1 in, 16000 Hz",
        "    0  USB Audio: field recorder, ALSA, 2 in, 48000 Hz",
        "    3  Phone: USB headset, JACK, 1 in, 8000 Hz",
    ]


def test_a_recording_is_written_at_the_devices_rate(system: FakeSystem, hearsight: Callable[..., Done]) -> None:
    done = hearsight("record", "-o", "out/räin.wav", "--seconds", "1.5", "--device", "field", "--stereo")
    assert (done.code, done.output.strip(), done.error) == (0, str(Path("out/räin.wav")), "")
    clip = read_clip("out/räin.wav")
    assert (clip.channels, clip.rate) == (2, 48_000)
    assert not system.open


def test_ctrl_c_keeps_what_was_recorded(
    system: FakeSystem, hearsight: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("studio.cli.record.time.sleep", press)
    assert hearsight("record", "-o", "take.wav").code == 0
    assert read_clip("take.wav").seconds == pytest.approx(6.0)


@pytest.mark.parametrize(("level", "says"), [(1.0, "too loud"), (0.001, "almost silent")])
def test_a_bad_level_is_said(
    level: float, says: str, hearsight: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    plug_in(monkeypatch, beeps(1.0, level))
    done = hearsight("record", "-o", "take.wav", "--seconds", "1")
    assert done.code == 0 and says in done.error
    assert Path("take.wav").is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "-o OUT.wav"),
        (("-o", "take.mp3"), ".wav"),
        (("-o", "take.wav", "--seconds", "0"), "0.1 to 1800"),
        (("-o", "take.wav", "--seconds", "nan"), "0.1 to 1800"),
        (("-o", "take.wav", "--device", "guitar"), "no input device 'guitar'"),
        (("-o", "take.wav", "--stereo"), "mono only"),
        (("-o", "."), ".wav"),
    ],
)
def test_refusals(system: FakeSystem, hearsight: Callable[..., Done], arguments: tuple[str, ...], says: str) -> None:
    done = hearsight("record", *arguments)
    assert done.code == 2 and says in done.error and "\n" not in done.error
    assert not Path("take.wav").exists() and not system.open


def test_without_portaudio(hearsight: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sounddevice", None)  # an import of it fails
    for arguments in (("--list",), ("-o", "take.wav")):
        done = hearsight("record", *arguments)
        assert done.code == 2 and "install" in done.error


def test_doctor_counts_the_microphones(system: FakeSystem) -> None:
    from studio.cli.doctor import libraries

    assert dict(libraries())["PortAudio"] == "present, 3 input devices, Built-in microphone first"


def test_doctor_says_how_to_get_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from studio.cli.doctor import libraries

    class NoPortAudio(MetaPathFinder):
        """sounddevice without the library that it needs: so it fails on a fresh Linux."""

        def find_spec(self, name: str, *_: object) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoPortAudio(), *sys.meta_path])
    assert "apt install libportaudio2" in dict(libraries())["PortAudio"]


def test_meter() -> None:
    assert meter(Level()) == f"|{' ' * 30}|  peak   -  dB, RMS   -  dB"
    assert meter(Level(-6.0, -30.0)) == f"|{'#' * 15}{' ' * 15}|  peak   -6 dB, RMS  -30 dB"
    assert meter(Level(0.0, -3.0, clipped=True)).startswith(f"|{'#' * 28}  |!")
