"""A real browser (Debian's chromium) on the running app: a page that asks another machine for anything fails."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.ui.conftest import home, service, url

__all__ = ["home", "service", "url"]

ARTIFACTS = Path(__file__).resolve().parents[2] / "test-artifacts"
DESKTOP = {"width": 1366, "height": 900}
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",  # a microphone that beeps, and a permission that is given
    "--use-fake-device-for-media-stream",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE = 120_000  # ms; the machine may be busy with other things


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, started once."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("There is no chromium. Install it: apt-get install chromium")
        pytest.skip("There is no chromium. Install it: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(autouse=True)
def stays_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The app runs in this process: a connection that it opens to another machine fails the test."""
    outside: list[object] = []
    connect = socket.socket.connect

    def watched(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            outside.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)
    yield
    assert not outside, f"the app called other machines: {outside}"


@pytest.fixture
def open_page(browser: Browser, url: str) -> Iterator[Callable[..., Page]]:
    """Open the app in a browser that has never seen it, and watch what it asks for.

    Keyword arguments are those of Playwright's new_context. The page is ready for the first click when this returns.
    """
    contexts, asked, errors = [], [], []

    def open_one(**options: object) -> Page:
        context = browser.new_context(**({"viewport": DESKTOP} | options))  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        page.wait_for_selector("#make:not([disabled])")
        return page

    yield open_one
    for context in contexts:
        context.close()
    outside = [one for one in asked if not re.match(rf"{re.escape(url)}/|data:|blob:", one)]
    assert not outside, f"the page asked other machines: {outside}"
    assert not errors, f"the page had errors: {errors}"


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Callable[[Page, str], Path]:
    """Keep a picture of the page in test-artifacts/, named after the test."""

    def shoot_one(page: Page, name: str = "", *, full: bool = True) -> Path:
        ARTIFACTS.mkdir(exist_ok=True)
        path = ARTIFACTS / f"{'-'.join(filter(None, [request.node.name, name]))}.png"
        page.screenshot(path=path, full_page=full)
        return path

    return shoot_one
