"""A shared app: strangers use the same page, and none sees another's pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.ui.service import Service
from tests.browser.test_create import make, number, open_fine
from tests.browser.test_desk import unfold
from tests.ui.running import running


@pytest.fixture(scope="module")
def url(service: Service, home: Path) -> Iterator[str]:
    """The same model, offered to strangers."""
    names = (service.model, service.adapter, service.encoder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEARSIGHT_MAX_SOUNDS", "3")
        with running(Service(*names, home=home / "hosted", hosted=True)) as address:
            yield address


def test_the_desk_ends_where_the_host_says(open_page: Callable[..., Page], shoot: Callable[..., Path]) -> None:
    """HEARSIGHT_MAX_SOUNDS is 3 here."""
    page = open_page()
    unfold(page)
    expect(page.locator("#add_sound")).to_be_visible()
    page.locator("#add_sound").click()
    expect(page.locator("#track_c")).to_be_visible()
    expect(page.locator("#add_sound")).to_be_hidden()
    shoot(page)
    page.locator("#remove_b").click()
    expect(page.locator("#add_sound")).to_be_visible()


def test_each_visitor_sees_only_their_own_pictures(open_page: Callable[..., Page]) -> None:
    first = open_page()
    open_fine(first)
    number(first, "num_inference_steps", 3)
    make(first)
    expect(first.locator("#strip .thumbnail-item")).to_have_count(1)
    stranger = open_page()
    expect(stranger.locator("#heard li")).to_have_count(3)
    assert stranger.locator("#strip .thumbnail-item").count() == 0
    expect(stranger.locator("#status")).to_contain_text("This is your sound")
    stranger.get_by_role("tab", name="Gallery").click()
    expect(stranger.locator("#gallery_status")).to_contain_text("No pictures yet")
    first.reload()
    first.get_by_role("tab", name="Gallery").click()
    expect(first.locator("#gallery_grid .thumbnail-item")).to_have_count(1)
    first.get_by_role("tab", name="Create").click()
    expect(first.locator("#strip .thumbnail-item")).to_have_count(1)
    first.locator("#strip .thumbnail-item").first.click()
    expect(first.locator("#about")).to_contain_text("rain.ogg")
