"""Recording by this machine's own devices on the page: who may, where the take goes, what is said."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import pytest

from studio.sound.decode import read_clip
from studio.ui import words
from studio.ui.page import build_page
from studio.ui.record_panel import RecordPanel, is_here
from studio.ui.service import Service
from tests.microphone import BUILT_IN, USB, beeps, plug_in


def panel_of(service: Service) -> RecordPanel:
    handlers = (fn.fn for fn in build_page(service).fns.values())
    return cast(
        RecordPanel, cast(Any, next(fn for fn in handlers if getattr(fn, "__name__", "") == "ticked")).__self__
    )


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> RecordPanel:
    return panel_of(Service(home=tmp_path_factory.mktemp("app"), hosted=False))


def asking(host: str = "127.0.0.1", session: str = "page", **headers: str) -> gr.Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return cast(gr.Request, SimpleNamespace(session_hash=session, client=SimpleNamespace(host=host), headers=named))


@pytest.fixture
def here(panel: RecordPanel) -> Iterator[gr.Request]:
    request = asking()
    yield request
    panel.left(request)


@pytest.mark.parametrize(
    ("request_", "local"),
    [
        (asking("127.0.0.1"), True),
        (asking("::1"), True),
        (asking("192.168.1.20"), False),
        (asking("testclient"), False),
        (asking("127.0.0.1", x_forwarded_for="203.0.113.5"), False),  # a proxy on this machine, for somebody else
        (asking("127.0.0.1", forwarded="for=203.0.113.5"), False),
    ],
    ids=["IPv4", "IPv6", "network", "no address", "proxy", "new proxy"],
)
def test_only_the_person_in_front_of_the_machine(request_: gr.Request, local: bool) -> None:
    assert is_here(request_) is local


def test_it_is_shown_where_it_works(panel: RecordPanel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    system = plug_in(monkeypatch, beeps(1.0))
    shown = panel.opened(asking())
    assert shown[panel.panel].visible is True
    assert (shown[panel.device].value, len(shown[panel.device].choices)) == (BUILT_IN, 3)
    assert panel.opened(asking("192.168.1.20"))[panel.panel].visible is False
    hosted = panel_of(Service(home=tmp_path, hosted=True))
    assert hosted.opened(asking())[hosted.panel].visible is False
    monkeypatch.setattr(system, "query_devices", lambda: ())
    assert panel.opened(asking())[panel.panel].visible is False
    monkeypatch.setitem(__import__("sys").modules, "sounddevice", None)  # no PortAudio
    assert panel.opened(asking())[panel.panel].visible is False


def test_nobody_else_can_press_record(panel: RecordPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    system = plug_in(monkeypatch, beeps(1.0))
    for handler in (
        lambda request: panel.recorded(request, BUILT_IN, 1),
        lambda request: panel.stopped(request, "A", "B"),
    ):
        assert escape(words.RECORD_NOT_HERE) in handler(asking("192.168.1.20"))[panel.line]
    assert not system.open


@pytest.mark.parametrize(("letter", "opened"), [("A", "B"), ("B", "B"), ("D", "B")])
def test_a_take_becomes_the_sound_of_its_track(
    panel: RecordPanel, here: gr.Request, monkeypatch: pytest.MonkeyPatch, letter: str, opened: str
) -> None:
    system = plug_in(monkeypatch, beeps(2.0))
    begun = panel.recorded(here, USB, 2)
    assert begun[panel.timer].active is True and len(system.open) == 1
    ticked = panel.ticked(here)
    assert "Peak" in ticked[panel.level] and "0.7 s" in ticked[panel.line]  # 2 s at 16 kHz, played at 48 kHz
    done = panel.stopped(here, letter, opened)
    assert not system.open and done[panel.timer].active is False
    sound = next(track.sound for track in panel.desk.tracks if track.letter == letter)
    clip = read_clip(done[sound])
    assert (clip.channels, clip.rate) == (2, 48_000)
    kept = list(panel.takes.folder.glob(f"{Path(done[sound]).stem}.wav"))
    assert len(kept) == 1 and kept[0].name in done[panel.line] and f"sound {letter}" in done[panel.line]
    assert (letter in done.get(panel.desk.opened, opened)) or letter == "A"
    assert done.get(panel.desk.opened, "B") == {"A": "B", "B": "B", "D": "BD"}[letter]


def test_trouble_is_a_sentence_and_leaves_nothing_open(
    panel: RecordPanel, here: gr.Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = plug_in(monkeypatch, beeps(1.0, level=0.0005))
    assert "Record first" in panel.stopped(here, "A", "B")[panel.line]
    assert "mono only" in panel.recorded(here, BUILT_IN, 2)[panel.line]
    system.busy = True
    assert "Device unavailable" in panel.recorded(here, BUILT_IN, 1)[panel.line]
    system.busy = False
    panel.recorded(here, BUILT_IN, 1)
    panel.recorded(here, BUILT_IN, 1)  # once more, from another tab of the same page
    assert len(system.open) == 1
    assert words.RECORD_SILENT in panel.stopped(here, "A", "B")[panel.line]
    panel.recorded(here, BUILT_IN, 1)
    panel.left(here)
    assert not system.open
    assert panel.ticked(here)[panel.timer].active is False
