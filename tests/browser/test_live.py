"""The Live tab in a real browser, whose microphone beeps."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from studio.library.png import read_recipe
from studio.ui.service import Service
from tests.browser.conftest import PATIENCE

Open = Callable[..., Page]
Shoot = Callable[..., Path]
expect.set_options(timeout=PATIENCE)
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def open_live(page: Page) -> None:
    page.get_by_role("tab", name="Live").click()
    expect(page.locator("#live_start")).to_be_visible()
    expect(page.locator("#live_mic .mic-select")).to_be_visible()  # the microphone is asked for


def listen(page: Page, pictures: int) -> None:
    page.locator("#live_start").click()
    expect(page.locator("#live_status")).to_contain_text(re.compile(rf"Picture ([{pictures}-9]|\d\d)"))


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_it_draws_until_stopped(open_page: Open, shoot: Shoot, service: Service, options: dict[str, object]) -> None:
    service.warm_up()
    page = open_page(**options)
    open_live(page)
    shoot(page, "start")
    listen(page, 2)
    assert page.locator("#live_picture img").get_attribute("src")
    expect(page.locator("#live_heard li")).to_have_count(3)
    expect(page.locator("#live_level")).to_contain_text("Peak")
    expect(page.locator("#live_start")).to_be_disabled()
    shoot(page, "listening")
    page.locator("#live_keep").click()
    expect(page.locator("#live_kept")).to_contain_text("Kept in the gallery")
    begun = time.monotonic()
    page.locator("#live_stop").click()
    expect(page.locator("#live_status")).to_contain_text("Stopped after")
    expect(page.locator("#live_start")).to_be_enabled()
    assert time.monotonic() - begun < 10
    shoot(page, "stopped")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    newest = max(service.pictures.glob("*.png"))
    assert read_recipe(newest).tracks[0].name == "microphone"
    listen(page, 1)  # and again
    page.keyboard.press("Escape")
    expect(page.locator("#live_status")).to_contain_text("Stopped after")
    until = time.monotonic() + 20
    while len(service.line) and time.monotonic() < until:  # the step in hand may end after that is said
        time.sleep(0.1)
    assert len(service.line) == 0


def test_pressed_before_the_recorder_has_arrived(open_page: Open, service: Service) -> None:
    """Gradio's microphone throws then, and would send nothing; the start is made again without anybody's doing."""
    service.warm_up()
    page, late = open_page(), []

    def slowly(route: Route) -> None:
        late.append(route.request.url)
        time.sleep(1.5)
        route.continue_()

    page.route(re.compile(r"/assets/module-.*\.js"), slowly)
    open_live(page)
    listen(page, 1)
    assert late
    expect(page.locator("#live_start")).to_be_disabled()
    page.locator("#live_stop").click()
    expect(page.locator("#live_status")).to_contain_text("Stopped after")
