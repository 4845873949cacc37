"""Who may come in, what is said at the start, tools for programs, and what a shared app deletes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
from gradio_client import Client  # type: ignore[import-untyped]
from gradio_client.exceptions import AuthenticationError  # type: ignore[import-untyped]

from studio.errors import InputError
from studio.sound.write import write_wav
from studio.ui import build, hosting, launch_options
from studio.ui.hosting import MCP, PASSWORD, USER, hosting_options, mcp_wanted, sign_in, warn_if_open
from studio.ui.keeping import forget_old, journeys_in, keep_newest
from studio.ui.live_bits import SETTLED, forget_bits
from studio.ui.service import Service
from studio.ui.sounds import look
from tests.models import tone
from tests.ui.running import running

ROOT = Path(__file__).resolve().parents[2]
VISITOR = "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (USER, PASSWORD, MCP, "SPACE_ID", "GRADIO_SERVER_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def guarded(service: Service) -> Iterator[str]:
    """The page with a sign-in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(USER, "anna")
        patch.setenv(PASSWORD, "sea and fire")
        with running(service) as address:
            yield address


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/config", None),
        ("/gradio_api/info", None),
        ("/gradio_api/call/hear", b'{"data": []}'),
        ("/gradio_api/queue/join", b'{"data": [], "fn_index": 0, "session_hash": "x"}'),
        ("/gradio_api/upload", b""),
    ],
)
def test_without_the_password_nobody_comes_in(guarded: str, path: str, body: bytes | None) -> None:
    request = urllib.request.Request(guarded + path, data=body, headers={"Content-Type": "application/json"})
    with pytest.raises(HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    assert caught.value.code == 401


def test_programs_sign_in_too(guarded: str) -> None:
    for door in ({"auth": ("anna", "wrong")}, {}):
        with pytest.raises((AuthenticationError, ValueError), match=r"login|auth|Unauthorized"):
            Client(guarded, verbose=False, **door)
    client = Client(guarded, auth=("anna", "sea and fire"), verbose=False)
    assert "/hear" in client.view_api(return_format="dict")["named_endpoints"]


def test_half_a_sign_in_opens_no_door(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sign_in() is None
    monkeypatch.setenv(USER, "anna")
    with pytest.raises(InputError, match="HEARSIGHT_USER is set, but HEARSIGHT_PASSWORD is not: set both"):
        launch_options()
    monkeypatch.setenv(PASSWORD, "x")
    monkeypatch.delenv(USER)
    with pytest.raises(InputError, match="HEARSIGHT_PASSWORD is set, but HEARSIGHT_USER is not"):
        sign_in()
    monkeypatch.setenv(USER, "anna")
    assert launch_options()["auth"] == ("anna", "x")


@pytest.mark.parametrize(
    ("host", "environment", "warned"),
    [
        (None, {}, False),
        ("127.0.0.1", {}, False),
        ("0.0.0.0", {}, True),
        (None, {"GRADIO_SERVER_NAME": "0.0.0.0"}, True),
        ("0.0.0.0", {USER: "anna", PASSWORD: "x"}, False),
        ("0.0.0.0", {"SPACE_ID": "someone/hearsight"}, False),
    ],
)
def test_an_open_door_is_said(
    host: str | None,
    environment: dict[str, str],
    warned: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    warn_if_open(host)
    said = capsys.readouterr().err
    assert (f"Set {USER} and {PASSWORD}" in said) == warned
    assert bool(said) == warned


def test_a_bad_limit_ends_the_start_with_one_sentence() -> None:
    environment = os.environ | {"HEARSIGHT_MAX_STEPS": "lots"}
    done = subprocess.run(
        [sys.executable, "app.py", "--no-browser"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("HEARSIGHT_MAX_STEPS must be a whole number from 1 to 100")
    assert "Traceback" not in done.stderr


def test_tools_only_when_wanted_and_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launch_options()["mcp_server"] is False
    monkeypatch.setenv(MCP, "true")
    monkeypatch.setattr(hosting, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'hearsight\[mcp\]'"):
        mcp_wanted()
    monkeypatch.setattr(hosting, "find_spec", lambda name: object())
    assert mcp_wanted()
    monkeypatch.setenv(USER, "anna")
    monkeypatch.setenv(PASSWORD, "x")
    with pytest.raises(InputError, match="not both"):  # Gradio asks nobody who comes in there
        mcp_wanted()


def test_the_page_ends_at_the_limits(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SIZE", "192"), ("STEPS", "12"), ("COUNT", "1"), ("FRAMES", "6")):
        monkeypatch.setenv(f"HEARSIGHT_MAX_{name}", value)
    found = {one["props"].get("elem_id"): one["props"] for one in build(service).get_config_file()["components"]}
    for name, most in (("width", 192), ("height", 192), ("num_inference_steps", 12), ("edit_num_inference_steps", 12)):
        assert (found[name]["maximum"], found[name]["visible"]) == (most, True)
    for name, most in (("journey_width", 192), ("journey_steps", 12), ("journey_frames", 6)):
        assert found[name]["maximum"] == most and found[name]["value"] <= most
    assert (found["count"]["value"], found["count"]["visible"]) == (1, False)  # nothing to choose


def test_a_longer_line_gets_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hosting_options()["max_threads"] == 40
    monkeypatch.setenv("HEARSIGHT_MAX_WAITING", "100")
    assert hosting_options()["max_threads"] == 120


def journey(folder: Path, name: str, age: float = 0.0) -> Path:
    made = folder / name
    (made / "pictures").mkdir(parents=True)
    (made / f"journey-{name}.mp4").write_bytes(b"film")
    aged(made, age)
    return made


def aged(path: Path, days: float) -> Path:
    when = time.time() - days * 86_400
    os.utime(path, (when, when))
    return path


def test_only_the_newest_journeys_are_kept(tmp_path: Path) -> None:
    names = [f"20260{month}01-120000-000000-7" for month in range(1, 6)]
    for name in names:
        journey(tmp_path, name)
    (tmp_path / "my own folder").mkdir()
    keep_newest(tmp_path, None)
    assert [one.name for one in journeys_in(tmp_path)] == names[::-1]
    keep_newest(tmp_path, 2)
    assert [one.name for one in journeys_in(tmp_path)] == names[:-3:-1]
    assert (tmp_path / "my own folder").is_dir()
    assert journeys_in(tmp_path / "nowhere") == []


def test_only_the_journey_in_view_is_deleted(service: Service) -> None:
    fns = build(service).fns.values()
    handler = next(one.fn for one in fns if getattr(one.fn, "__qualname__", "").endswith("wire.<locals>.deleted"))
    assert handler is not None
    folder = service.pictures.parent / "journeys"
    one, other = (journey(folder, f"2026010{day}-120000-000000-7") for day in (1, 2))
    for name in ("", "..", "../pictures", "20260103-120000-000000-7"):
        handler(name, None)
    assert one.is_dir() and other.is_dir()
    updates = handler(one.name, None)
    assert not one.exists() and other.is_dir()
    assert any("was deleted" in str(value) for value in updates.values())


def test_visitors_files_go_after_some_days_and_the_owners_stay(tmp_path: Path) -> None:
    pictures, journeys = tmp_path / "pictures", tmp_path / "journeys"
    (pictures / VISITOR).mkdir(parents=True)
    old, new = pictures / VISITOR / "old.png", pictures / VISITOR / "new.png"
    own = pictures / "mine.png"
    for path in (old, new, own):
        path.write_bytes(b"png")
    for path in (old, own):
        aged(path, 40)
    gone = journey(journeys / VISITOR, "20260101-120000-000000-7", age=40)
    kept = journey(journeys / VISITOR, "20260301-120000-000000-7", age=1)
    mine = journey(journeys, "20250101-120000-000000-7", age=400)
    assert forget_old(tmp_path, 30) == 2
    assert [path.exists() for path in (old, new, own, gone, kept, mine)] == [False, True, True, False, True, True]
    assert forget_old(tmp_path, 30, now=time.time() + 60 * 86_400) == 2
    assert not (pictures / VISITOR).exists() and not (journeys / VISITOR).exists()
    assert own.exists() and mine.exists()


def test_bits_of_sound_that_were_never_read_are_deleted(home: Path) -> None:
    begun = time.time() - 100
    cache = home / "cache"
    for name in ("unread", "used", "fresh", "before"):
        (cache / name).mkdir(parents=True)
        write_wav(tone(0.4), cache / name / "audio.wav")
    other = cache / "used" / "rain.wav"
    write_wav(tone(0.4), other)
    look(str(cache / "used" / "audio.wav"))  # recorded in the Create tab
    for name in ("unread", "used"):
        aged(cache / name / "audio.wav", (SETTLED + 5) / 86_400)
    aged(cache / "before" / "audio.wav", 1)
    assert forget_bits(begun) == 1
    assert not (cache / "unread").exists()
    assert all((cache / name / "audio.wav").exists() for name in ("used", "fresh", "before")) and other.exists()
