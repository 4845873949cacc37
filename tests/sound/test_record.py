"""Recording by PortAudio: devices, level, limits, errors as sentences, and a system that has none of it."""

from __future__ import annotations

import ast
import ctypes.util
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from studio.errors import InputError
from studio.sound import record
from studio.sound.record import Recorder, devices, find_device
from tests.microphone import BUILT_IN, PHONE, USB, FakeSystem, beeps, plug_in


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> FakeSystem:
    return plug_in(monkeypatch, beeps(2.0))


def test_inputs_only_and_the_usual_one_first(system: FakeSystem) -> None:
    assert [(one.index, one.system, one.channels, one.rate, one.default) for one in devices()] == [
        (BUILT_IN, "ALSA", 1, 16_000, True),
        (USB, "ALSA", 2, 48_000, False),
        (PHONE, "JACK", 1, 8_000, False),
    ]
    assert record.why_not() is None


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (None, BUILT_IN),
        (0, USB),
        ("0", USB),
        ("built-in", BUILT_IN),
        ("field", USB),
        ("usb audio: field recorder", USB),
    ],
)
def test_a_device_by_number_or_name(system: FakeSystem, wanted: str | int | None, index: int) -> None:
    assert find_device(wanted).index == index


@pytest.mark.parametrize(("wanted", "says"), [("guitar", "no input device"), ("1", "no input"), ("usb", "Several")])
def test_no_such_device_names_what_there_is(system: FakeSystem, wanted: str, says: str) -> None:
    with pytest.raises(InputError, match=rf"{says}.*2 \(Built-in microphone\), 0 \(USB Audio"):
        find_device(wanted)


def test_a_take_is_what_arrived(system: FakeSystem) -> None:
    recorder = Recorder(name="take").start()
    assert recorder.recording and recorder.seconds == pytest.approx(2.0)
    level = recorder.level
    assert level.peak == pytest.approx(-6.0, abs=0.1) and level.rms == pytest.approx(-9.0, abs=0.1)
    assert not level.clipped
    clip = recorder.stop()
    expected = np.concatenate(list(beeps(2.0)(1)), axis=1)
    assert (clip.rate, clip.name, clip.samples.shape) == (16_000, "take", (1, 32_000))
    assert np.array_equal(clip.samples, expected)
    assert not system.open and not recorder.recording


def test_stereo_keeps_both_channels(system: FakeSystem) -> None:
    clip = Recorder("field", stereo=True).start().stop()
    assert clip.channels == 2 and clip.rate == 48_000
    assert np.allclose(clip.samples[1], clip.samples[0] / 2)
    with pytest.raises(InputError, match="mono only"):
        Recorder("built-in", stereo=True)


def test_the_limit_ends_it_on_the_sample(system: FakeSystem) -> None:
    recorder = Recorder(limit=0.55).start()
    assert not recorder.recording
    assert recorder.stop().samples.shape == (1, 8_800)
    for limit in (0.0, 1801.0, float("nan")):
        with pytest.raises(InputError, match=r"0\.1 to 1800 s"):
            Recorder(limit=limit)


def test_the_latest_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, beeps(12.0))
    with Recorder(keep=False, limit=1.0) as recorder:  # the limit is one of what is kept
        assert recorder.recording
        latest = recorder.latest(0.5)
        assert latest is not None and latest.seconds == 0.5
        whole = np.concatenate(list(beeps(12.0)(1)), axis=1)
        assert np.array_equal(latest.samples, whole[:, -8_000:])
        assert recorder.stop().seconds == record.WINDOW_SECONDS


def test_a_device_in_use_is_a_sentence_and_nothing_stays_open(system: FakeSystem) -> None:
    system.busy = True
    with pytest.raises(InputError, match=r"Built-in.*Device unavailable.*no other program holds it"):
        Recorder().start()
    assert not system.open
    system.busy = False
    recorder = Recorder().start()
    with pytest.raises(InputError, match="recording already"):
        recorder.start()
    recorder.close()
    recorder.close()
    with pytest.raises(InputError, match="start a recording first"):
        recorder.stop()


def test_a_device_that_delivers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    system = plug_in(monkeypatch, lambda channels: [])
    recorder = Recorder().start()
    assert recorder.level.peak == -np.inf and recorder.latest(1.0) is None
    with pytest.raises(InputError, match="delivered no sound"):
        recorder.stop()
    assert not system.open


def test_leaving_closes_the_device(system: FakeSystem) -> None:
    with Recorder():
        assert system.open
    assert not system.open


def test_an_unplugged_device_ends_the_recording(system: FakeSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "_PATIENCE", 0.0)
    recorder = Recorder().start()
    assert not recorder.recording
    assert recorder.stop().seconds == pytest.approx(2.0)


def test_no_microphone(system: FakeSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "query_devices", lambda: ())
    assert devices() == []
    assert "no microphone" in str(record.why_not())
    with pytest.raises(InputError, match="no microphone"):
        Recorder()


def test_the_real_library_says_how_to_get_portaudio() -> None:
    """In a fresh process, with the real package: where PortAudio is absent this is a sentence, else it lists."""
    program = "from studio.sound.record import why_not; import sys; print(why_not()); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    said = done.stdout.splitlines()
    assert len(said) == 2 and said[1] == "False"
    if ctypes.util.find_library("portaudio") is None and sys.platform == "linux":
        assert "apt install libportaudio2" in said[0]
    else:
        assert said[0] == "None" or "microphone" in said[0]


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (OSError("PortAudio library not found"), "apt install libportaudio2"),
        (ImportError(), "pip install sounddevice"),
    ],
)
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, failure: Exception, says: str) -> None:
    class Missing:
        """Refuses the import as the real package does."""

        def find_spec(self, name: str, path: object, target: object = None) -> None:
            if name == "sounddevice":
                raise failure

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    assert says in str(record.why_not())
    with pytest.raises(InputError, match=says):
        Recorder()


def test_the_fake_has_the_real_signatures() -> None:
    """Read from the library's source, which cannot be imported where PortAudio is absent."""
    spec = importlib.util.find_spec("sounddevice")
    assert spec is not None and spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    known = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert {"query_devices", "query_hostapis", "InputStream", "PortAudioError", "CallbackStop"} <= set(known)
    stream = known["InputStream"]
    assert isinstance(stream, ast.ClassDef)
    start = next(node for node in stream.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    assert {"samplerate", "device", "channels", "dtype", "callback"} <= {one.arg for one in start.args.args}
    base = known["_StreamBase"]
    assert isinstance(base, ast.ClassDef)
    assert {"start", "stop", "close", "active"} <= {one.name for one in base.body if isinstance(one, ast.FunctionDef)}
