"""The Gallery tab in a real browser: a picture is made, found, marked, restored, deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from studio.library.png import read_recipe
from studio.ui.service import Service
from tests.browser.test_create import make, number, open_fine, say

Open = Callable[..., Page]
Shoot = Callable[..., Path]


def to_gallery(page: Page) -> Locator:
    """Open the tab; gives the thumbnails."""
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#gallery_status")).to_be_visible()
    return page.locator("#gallery_grid .thumbnail-item")


def search(page: Page, words: str) -> None:
    """Write into the search box."""
    page.get_by_label("Search").fill(words)


def test_a_picture_is_found_and_its_settings_come_back(
    open_page: Open, shoot: Shoot, tmp_path: Path, service: Service
) -> None:
    page = open_page()
    thumbnails = to_gallery(page)
    expect(page.locator("#gallery_status")).to_contain_text("No pictures yet")
    shoot(page, "empty")
    page.get_by_role("tab", name="Create").click()
    open_fine(page)
    number(page, "num_inference_steps", 3)
    number(page, "count", 2)
    make(page)
    number(page, "count", 1)
    number(page, "num_inference_steps", 4)
    number(page, "seed", 555)
    say(page, "a quiet harbour with A*")
    make(page)

    to_gallery(page)
    expect(thumbnails).to_have_count(3)
    search(page, "zebra")
    expect(page.locator("#gallery_status")).to_contain_text("No picture fits")
    expect(thumbnails).to_have_count(0)
    search(page, "RAIN harbour")
    expect(thumbnails).to_have_count(1)
    expect(thumbnails.first).to_have_attribute("aria-label", "rain")
    thumbnails.first.focus()
    page.keyboard.press("Enter")
    facts = page.locator("#gallery_facts")
    expect(facts).to_contain_text("a quiet harbour with A*")
    expect(facts).to_contain_text("555")
    expect(page.locator("#gallery_picture img")).to_have_attribute(
        "alt", "a quiet harbour with A*, made from rain.ogg"
    )
    with page.expect_download() as info:
        page.locator("#gallery_download").click()
    path = tmp_path / info.value.suggested_filename
    info.value.save_as(path)
    assert (read_recipe(path).seed, path.name) == (555, next(service.pictures.glob("*-555.png")).name)
    page.locator("#gallery_favourite").click()
    expect(page.locator("#gallery_favourite")).to_contain_text("Unfavourite")
    search(page, "")
    page.locator("#gallery_favourites input").check()
    expect(thumbnails).to_have_count(1)
    page.locator("#gallery_favourites input").uncheck()
    expect(thumbnails).to_have_count(3)
    page.get_by_label("To day").fill("2020-01-01")
    expect(thumbnails).to_have_count(0)
    page.get_by_label("To day").fill("")
    expect(thumbnails).to_have_count(3)
    shoot(page, "chosen")

    fresh = open_page()  # another day
    thumbnails = to_gallery(fresh)
    expect(thumbnails).to_have_count(3)
    thumbnails.first.click()
    expect(fresh.locator("#gallery_facts")).to_contain_text("harbour")
    fresh.locator("#gallery_reuse").click()
    expect(fresh.get_by_role("tab", name="Create")).to_have_attribute("aria-selected", "true")
    expect(fresh.locator("#status")).to_contain_text("Settings restored")
    expect(fresh.locator("#prompt textarea, #prompt input")).to_have_value("a quiet harbour with A*")
    open_fine(fresh)
    expect(fresh.locator("#seed textarea, #seed input")).to_have_value("555")
    expect(fresh.locator("#keep_seed input")).to_be_checked()
    expect(fresh.locator("#num_inference_steps input[type=number]")).to_have_value("4")
    shoot(fresh, "restored")

    to_gallery(fresh)
    thumbnails.first.click()
    expect(fresh.locator("#gallery_facts")).to_contain_text("harbour")
    fresh.locator("#gallery_delete").click()
    fresh.locator("#gallery_keep").click()
    expect(fresh.locator("#gallery_sure")).to_be_hidden()
    expect(thumbnails).to_have_count(3)
    fresh.locator("#gallery_delete").click()
    fresh.locator("#gallery_sure").click()
    expect(fresh.locator("#gallery_status")).to_contain_text("deleted")
    expect(thumbnails).to_have_count(2)
    expect(fresh.locator("#gallery_facts")).to_contain_text("Choose a picture")
    assert not list(service.pictures.glob("*-555.png"))


def test_on_a_phone_in_the_dark(open_page: Open, shoot: Shoot, service: Service, tmp_path: Path) -> None:
    page = open_page(
        viewport={"width": 390, "height": 844},
        device_scale_factor=2,
        is_mobile=True,
        has_touch=True,
        color_scheme="dark",
    )
    open_fine(page)
    number(page, "num_inference_steps", 3)
    make(page)
    fits = "document.documentElement.scrollWidth <= window.innerWidth"
    thumbnails = to_gallery(page)
    expect(thumbnails.first).to_be_visible()
    assert page.evaluate(fits)
    shoot(page, "grid", full=False)
    page.keyboard.press("Control+Enter")  # Make is in the other tab, where nobody would see it work
    thumbnails.first.tap()
    expect(page.locator("#gallery_picture img")).to_be_in_viewport()
    expect(page.locator("#gallery_facts")).to_contain_text("a photo of A*")
    assert page.evaluate(fits)
    assert len(service.line) == 0
    shoot(page, "chosen")
    page.locator("#gallery_restore > button, #gallery_restore .label-wrap").first.click()
    (tmp_path / "mine.png").write_bytes(max(service.pictures.glob("*.png")).read_bytes())
    (tmp_path / "other.png").write_bytes(b"no picture")
    page.locator("#gallery_drop input[type=file]").set_input_files(tmp_path / "other.png")
    expect(page.locator("#gallery_status [role=alert]")).to_contain_text("other.png holds no Hearsight settings")
    page.locator("#gallery_drop input[type=file]").set_input_files(tmp_path / "mine.png")
    expect(page.locator("#status")).to_contain_text("Settings restored from mine.png")
    expect(page.locator("#make")).to_be_visible()
