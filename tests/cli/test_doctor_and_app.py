"""doctor says what is there and touches no network; app hands its options over."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

import studio.ui
from tests.cli.conftest import Done


def test_a_healthy_machine(hearsight: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("the network was not asked for"))
    done = hearsight("doctor")
    assert (done.code, done.error) == (0, "")
    for part in ("processor", "memory", "device", "U-Net in", "torch", "gradio", "av", "PortAudio", "chromium"):
        assert f"\n  {part} " in done.output
    assert "model pocket" in done.output
    assert "adapters/word" in done.output
    assert "not tried; --network tries it" in done.output
    assert done.output.endswith("Ready to make pictures.\n")


@pytest.mark.parametrize(
    "missing", ["pocket/model_index.json", "ear/model.safetensors", "adapters/word/model.safetensors"]
)
def test_an_incomplete_installation(
    missing: str, tiny_assets: Path, hearsight: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    shutil.copytree(tiny_assets, "assets")
    (Path("assets") / missing).unlink()
    monkeypatch.setenv("HEARSIGHT_ASSETS", "assets")
    done = hearsight("doctor")
    assert done.code == 1
    assert "PROBLEM" in done.output
    assert done.output.endswith("see PROBLEM above.\n")


@pytest.mark.parametrize(("answers", "words"), [(True, "answers"), (False, "cannot be reached")])
def test_the_network_when_asked(
    answers: bool, words: str, hearsight: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        if not answers:
            raise OSError("no route")
        return socket.socket()

    monkeypatch.setattr(socket, "create_connection", connect)
    assert words in hearsight("doctor", "--network").output


def test_app_options(hearsight: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(studio.ui, "serve", lambda *given, **named: calls.append((given, named)))
    assert hearsight("app").code == 0
    assert hearsight("app", "--host", "0.0.0.0", "--port", 8000, "--open").code == 0
    assert calls == [((None, None), {"browser": False}), (("0.0.0.0", 8000), {"browser": True})]


def test_app_on_a_taken_port(hearsight: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(*given: object, **named: object) -> None:
        raise OSError("Cannot find empty port in range: 8000-8000.\nMore advice.")

    monkeypatch.setattr(studio.ui, "serve", serve)
    done = hearsight("app", "--port", 8000)
    assert done.code == 2
    assert done.error == (
        "The page cannot be served at 127.0.0.1, port 8000 (Cannot find empty port in range: 8000-8000): "
        "choose another --port."
    )
