"""What settings and own templates are made of, without a browser."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from studio.errors import InputError
from studio.presets import FINE, MOST_OWN, own_template, own_templates, save_template
from studio.ui import build, storage
from studio.ui.preferences import kept
from studio.ui.service import Service
from studio.ui.settings_tab import SettingsTab
from studio.ui.shelf import Shelf, templates
from studio.ui.words_panel import FINE_TOO, build_words_panel


@pytest.fixture(scope="module")
def page_tab() -> SettingsTab:
    """The tab of a page that was built."""
    handlers = (getattr(one.fn, "__self__", None) for one in build(Service()).fns.values())
    return next(one for one in handlers if isinstance(one, SettingsTab))


BOUNDS = {"num_inference_steps": (1, 100, 1), "guidance_scale": (0, 30, 0.1), "width": (64, 1024, 8)}


@pytest.mark.parametrize(
    ("stored", "used"),
    [
        (None, {}),
        ("text", {}),
        (
            {"num_inference_steps": 12, "width": 256, "clean_voice": True},
            {"num_inference_steps": 12, "width": 256, "clean_voice": True},
        ),
        ({"num_inference_steps": 900, "width": 100}, {"num_inference_steps": 100, "width": 96}),
        ({"num_inference_steps": True, "width": "wide", "guidance_scale": float("nan"), "clean_voice": 1}, {}),
        ({"guidance_scale": 7.55, "model": "/etc/passwd"}, {"guidance_scale": 7.5}),
    ],
)
def test_what_a_browser_keeps_is_checked(stored: object, used: dict[str, Any]) -> None:
    assert kept(stored, BOUNDS) == pytest.approx(used, abs=0.11)


@pytest.mark.parametrize(
    ("size", "said"), [(0, "0 kB"), (812_000, "812 kB"), (3_440_000, "3.4 MB"), (12 * 10**9, "12 GB")]
)
def test_sizes_are_said(size: int, said: str) -> None:
    assert storage.spoken_size(size) == said


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Night sea", "night-sea"),
        ("../../etc/passwd", "etc-passwd"),
        ("Straße bei Nacht", "strae-bei-nacht"),
        ("Ağaç", "agac"),
        ("CON", "con"),
        ("夜の海", "own-"),
    ],
)
def test_names_are_safe(title: str, name: str, tmp_path: Path) -> None:
    template = own_template(title, "a photo of A*")
    assert template.id.startswith(name)
    assert template.title == title
    path = save_template(template, tmp_path / "presets")
    assert path.parent == tmp_path / "presets"
    assert own_templates(tmp_path / "presets") == (template,)


@pytest.mark.parametrize(
    ("title", "prompt", "says"),
    [
        (" ", "A*", "needs a name"),
        ("a PHOTO of A*", "A*", "choose another name"),
        ("x" * 41, "A*", "title"),
        ("Mine", " ", "prompt"),
    ],
)
def test_what_cannot_be_a_template_is_said(title: str, prompt: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        own_template(title, prompt)


@pytest.mark.parametrize("hosted", [False, True])
def test_a_shelf_saves_replaces_and_deletes(tmp_path: Path, hosted: bool) -> None:
    shelf = Shelf(None if hosted else tmp_path / "presets")
    template, stored = shelf.save("Night", "a photo of A* at night", "people", [])
    again, stored = shelf.save("night", "a dark photo of A*", "", stored)
    assert again.id == template.id
    assert [one.prompt for one in shelf.own(stored)] == ["a dark photo of A*"]
    assert shelf.all(stored)[: len(templates())] == templates()
    assert (tmp_path / "presets").exists() is not hosted
    stored = shelf.delete("photo", stored)  # one that comes with Hearsight
    assert len(shelf.own(stored)) == 1
    assert shelf.own(shelf.delete(again.id, stored)) == ()


@pytest.mark.parametrize("hosted", [False, True])
def test_a_template_may_keep_the_fine_controls(tmp_path: Path, hosted: bool) -> None:
    shelf = Shelf(None if hosted else tmp_path)
    fine = {"num_inference_steps": 12, "guidance_scale": 3.5, "sound_strength": 1.5, "width": 192, "height": 128}
    _, stored = shelf.save("Wide", "a wide A*", "people", [], fine)
    (own,) = shelf.own(json.loads(json.dumps(stored)))
    assert own.fields == {"prompt": "a wide A*", "negative_prompt": "people", **fine}
    with gr.Blocks():
        panel = build_words_panel(shelf)
    _, delete, prompt, *others = panel.chosen("wide", stored)
    assert delete.visible and [prompt, *others] == ["a wide A*", "people", *(fine[name] for name in FINE)]
    assert panel.chosen("photo", stored)[3:] == (gr.skip(),) * len(FINE_TOO)


@pytest.mark.parametrize("fine", [{"seed": 4}, {"width": 100}, {"guidance_scale": -1}, {"sound_strength": "x"}])
def test_what_a_template_may_not_set_is_said(fine: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(fine))):
        own_template("Wide", "A*", fine=fine)


def test_a_shelf_does_not_trust_what_a_browser_sends(tmp_path: Path) -> None:
    evil = [{"id": "../x", "title": "x", "prompt": "A*"}, {"id": "photo", "title": "x", "prompt": "A*"}, 7, None]
    assert Shelf(None).own(evil) == ()
    full = [{"id": f"t{number}", "title": f"T{number}", "prompt": "A*"} for number in range(MOST_OWN)]
    with pytest.raises(InputError, match="delete one first"):
        Shelf(None).save("One more", "A*", "", full)


def test_a_damaged_template_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_template(own_template("Good", "A*"), tmp_path)
    (tmp_path / "bad.json").write_text('{"id": "other", "title": "Bad", "prompt": "A*"}')
    assert [one.title for one in own_templates(tmp_path)] == ["Good"]
    assert "bad.json" in caplog.text


@pytest.mark.parametrize(
    ("hosted", "host", "shown"), [(False, "127.0.0.1", True), (False, "10.0.0.8", False), (True, "127.0.0.1", False)]
)
def test_only_the_person_in_front_sees_and_deletes(
    page_tab: SettingsTab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hosted: bool,
    host: str,
    shown: bool,
) -> None:
    cache = tmp_path / "photos-read"
    cache.mkdir()
    (cache / "a.safetensors").write_bytes(b"1234")
    monkeypatch.setattr("studio.ui.settings_tab.photo_cache_folder", lambda: cache)
    service = Service(home=tmp_path, hosted=hosted)
    words = SimpleNamespace(shelf=Shelf(None if hosted else tmp_path / "presets"))
    create: Any = SimpleNamespace(service=service, words=words)
    tab = replace(page_tab, create=create)
    request: Any = SimpleNamespace(headers={}, client=SimpleNamespace(host=host))
    selected = tab.selected("pocket", "auto", request)
    assert (str(tmp_path) in selected[tab.places]) is shown
    assert ("Computes on" in selected[tab.machine]) is shown
    assert selected[tab.empty].visible is shown
    tab.emptied(request)
    assert list(cache.iterdir()) == ([] if shown else [cache / "a.safetensors"])
