"""Listening without an end: rooms that do not mix, frames from the sound of their moment, and a free line."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import numpy as np
import pytest

from studio.errors import InputError
from studio.library.png import read_recipe
from studio.sound.clip import Samples
from studio.sound.write import write_wav
from studio.ui import live, words
from studio.ui.jobs import Stopped, Waiting
from studio.ui.live import Frame, Listening, Lost, Room, Rooms, Wishes, blank_recipe, listen
from studio.ui.live_tab import LiveTab, _forget
from studio.ui.page import build_page
from studio.ui.service import Service
from studio.word import unpack_word
from tests.models import tone

RATE = 16_000


def noise(seconds: float, level: float = 0.3, seed: int = 0) -> Samples:
    return (level * np.random.default_rng(seed).uniform(-1, 1, (1, round(seconds * RATE)))).astype(np.float32)


def hum(seconds: float, hz: float = 220.0, level: float = 0.3) -> Samples:
    times = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hz * times)).astype(np.float32)[None]


def room_with(sound: Samples, **wishes: Any) -> Room:
    room = Room(Wishes(seed=3, **wishes))
    room.add(sound, RATE)
    return room


def frames(service: Service, room: Room, count: int) -> list[Frame]:
    """The next frames; the room is closed after the last one."""
    found = []
    for moment in listen(service, room, pace=0.0):
        if isinstance(moment, Frame):
            found.append(moment)
            if len(found) == count:
                room.stop.set()
    return found


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FEW_STEPS", 2)


def test_a_frame_is_made_again_from_its_recipe(service: Service) -> None:
    (frame,) = frames(service, room_with(noise(2.0)), 1)
    assert frame.recipe.resolved and frame.recipe.tracks[0].name == "microphone"
    assert frame.recipe.tracks[0].path is None and frame.recipe.seed == 3
    assert frame.heard[0][1] >= frame.heard[1][1]
    engine = service.engine(30)
    assert engine is not None
    again = engine.run(frame.recipe)
    assert again.images[0].tobytes() == frame.picture.tobytes()
    assert len(service.line) == 0


def test_smoothness_leaves_a_part_of_the_last_word(service: Service) -> None:
    def word_after(smoothness: float) -> np.ndarray[Any, Any]:
        room = room_with(noise(1.0), smoothness=smoothness, window=1.0)
        stream = listen(service, room, pace=0.0)
        assert any(isinstance(moment, Frame) for moment in stream)
        room.add(hum(1.0), RATE)
        frame = next(moment for moment in stream if isinstance(moment, Frame))
        stream.close()  # type: ignore[attr-defined]
        assert frame.recipe.word is not None
        return unpack_word(frame.recipe.word)

    (alone,) = frames(service, room_with(hum(1.0), window=1.0), 1)
    assert alone.recipe.word is not None
    fresh = unpack_word(alone.recipe.word)
    at_once, smooth, slow = word_after(0.0), word_after(0.5), word_after(0.9)
    assert np.array_equal(at_once, fresh)
    assert 0 < np.linalg.norm(smooth - fresh) < np.linalg.norm(slow - fresh)


def test_loudness_acts(service: Service) -> None:
    loud, soft, raised = (
        frames(service, room_with(noise(1.0, level), gain=gain), 1)[0]
        for level, gain in ((0.9, 0.0), (0.02, 0.0), (0.02, 20.0))
    )
    assert loud.recipe.loudness is None  # full strength
    assert soft.recipe.loudness == pytest.approx(2 ** ((soft.lufs + 20) / 10), abs=1e-6)  # half with every 10 dB
    assert raised.lufs == pytest.approx(soft.lufs + 20, abs=0.1)
    assert soft.recipe.loudness is not None
    assert raised.recipe.loudness is None or raised.recipe.loudness > soft.recipe.loudness


def test_silence_is_listened_to_and_not_drawn(service: Service) -> None:
    room = room_with(noise(1.0, 0.001) + 0.2)  # a soft hiss on a constant offset
    moments = listen(service, room, pace=0.0)
    assert next(moments) == Listening()
    threading.Timer(0.3, room.add, [noise(3.0), RATE]).start()
    assert any(isinstance(moment, Frame) for moment in moments)
    assert room.shown is not None
    room.stop.set()
    assert not [moment for moment in moments if isinstance(moment, Frame)]
    assert room.latest(1.0) is None  # the sound is forgotten, the picture is not
    assert room.shown is not None


def test_nothing_arrives_any_more(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.2)
    room = Room(Wishes())
    assert list(listen(service, room)) == [Listening(), Lost()]
    assert room.stop.is_set()


def test_it_waits_in_the_line_with_one_place_and_takes_the_sound_of_its_turn(service: Service) -> None:
    room = room_with(noise(2.0), window=1.0, smoothness=0.0)
    with service.join_line():
        moments = listen(service, room, pace=0.0)
        waiting = next(moments)
        assert isinstance(waiting, Waiting) and waiting.ahead == 1
        assert len(service.line) == 2
        room.add(hum(2.0), RATE)  # while it waits
    frame = next(moment for moment in moments if isinstance(moment, Frame))
    room.stop.set()
    list(moments)
    (expected,) = frames(service, room_with(hum(2.0), window=1.0, smoothness=0.0), 1)
    assert frame.recipe.word == expected.recipe.word
    assert len(service.line) == 0


def test_stop_is_seen_while_waiting_and_between_steps(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    room = room_with(noise(1.0))
    with service.join_line():
        moments = listen(service, room)
        next(moments)
        room.stop.set()
        assert Stopped(0) in list(moments)
    monkeypatch.setattr(live, "FEW_STEPS", 20)
    room = room_with(noise(1.0))
    threading.Timer(0.2, room.close).start()
    begun = time.monotonic()
    assert all(isinstance(moment, Stopped | Frame) for moment in listen(service, room, pace=0.0))
    assert time.monotonic() - begun < 20 and len(service.line) == 0


def test_a_closed_page_frees_the_line(service: Service) -> None:
    with service.join_line():
        moments = listen(service, room_with(noise(1.0)))
        next(moments)
        moments.close()  # type: ignore[attr-defined]  # what Gradio does when the tab is closed
        assert len(service.line) == 1


def test_rooms_do_not_mix_and_are_forgotten() -> None:
    rooms = Rooms()
    one, other = Room(Wishes()), Room(Wishes())
    rooms.open("one", one)
    rooms.open("other", other)
    for _ in range(4):
        one.add(np.full((1, 4000), 0.5, np.float32), RATE)
        other.add(np.full((2, 4000), -0.25, np.float32), 48_000)
    ones, others = one.latest(9.0), other.latest(9.0)
    assert ones is not None and others is not None
    assert (ones.rate, ones.channels, set(np.unique(ones.samples))) == (RATE, 1, {0.5})
    assert (others.rate, others.channels, set(np.unique(others.samples))) == (48_000, 2, {-0.25})
    again = Room(Wishes())
    rooms.open("one", again)
    assert one.stop.is_set() and rooms.get("one") is again
    rooms.forget("one")
    rooms.forget("one")
    assert rooms.get("one") is None and again.stop.is_set() and not other.stop.is_set()


def test_only_so_many_listen_at_once() -> None:
    rooms = Rooms()
    for number in range(live.MOST_LISTENING):
        rooms.open(str(number), Room(Wishes()))
    late = Room(Wishes())
    with pytest.raises(InputError, match="listening already"):
        rooms.open("late", late)
    assert late.stop.is_set() and rooms.get("late") is None
    rooms.open("0", Room(Wishes()))  # one that listens may begin again
    rooms.forget("1")
    rooms.open("late", Room(Wishes()))


def test_the_few_step_model_is_used_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = "studio.backbones.hub.embedded_models"
    monkeypatch.setattr(hub, lambda: ("pocket",))
    assert blank_recipe(Service(home=tmp_path)).model == "pocket"
    assert blank_recipe(Service(home=tmp_path)).num_inference_steps == 2
    monkeypatch.setattr(hub, lambda: ("pocket", "pocket-fast"))
    fast = blank_recipe(Service(home=tmp_path))
    assert (fast.model, fast.num_inference_steps) == ("pocket-fast", None)
    assert blank_recipe(Service("other/model", home=tmp_path)).model == "other/model"


@pytest.fixture(scope="module")
def tab(service: Service) -> LiveTab:
    demo = build_page(service)
    handler = next(fn.fn for fn in demo.fns.values() if getattr(fn.fn, "__name__", "") == "reseeded")
    return cast(LiveTab, cast(Any, handler).__self__)


@pytest.fixture
def request_of(tab: LiveTab) -> Iterator[gr.Request]:
    request = cast(gr.Request, SimpleNamespace(session_hash="page"))
    yield request
    tab.left(request)


def test_the_tab_from_start_to_keep(
    tab: LiveTab, request_of: gr.Request, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {name: control.value for name, control in tab.inputs.items()} | {"seed": 7}
    chunk = tmp_path / "audio.wav"
    write_wav(tone(), chunk)
    assert words.LIVE_NOTHING_TO_KEEP in tab.kept(request_of, None)
    tab.arrived(str(chunk), request_of)  # before the start: nobody listens
    updates = tab.listened(request_of, **values)
    next(updates)
    meter = tab.arrived(str(chunk), request_of)
    assert "Peak" in meter
    tab.wished(request_of, **{**values, "prompt": "a painting of A*", "seed": None})
    shown = next(one for one in updates if tab.picture in one)
    assert set(shown) <= set(tab.changing)
    assert tab.reseeded(request_of) >= 0
    before = set(service.pictures.glob("*.png"))
    said = tab.kept(request_of, None)
    (kept,) = set(service.pictures.glob("*.png")) - before
    assert kept.name in said
    recipe = read_recipe(kept)
    assert (recipe.prompt, recipe.seed) == ("a painting of A*", 0) and recipe.word is not None
    tab.stopped(request_of)
    assert any("Stopped after" in str(one.get(tab.line)) for one in updates)
    assert tab.kept(request_of, None)  # still in view
    kept.unlink()


def test_bits_of_sound_are_deleted_and_others_files_are_not(
    service: Service, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, outside = home / "cache" / "audio.wav", tmp_path / "audio.wav"
    inside.parent.mkdir(exist_ok=True)
    for path in (inside, outside):
        path.touch()
        _forget(str(path))
    assert not inside.exists() and outside.exists()
