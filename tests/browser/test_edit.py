"""The Edit tab in a real browser: a photo is dropped and painted on, changed, compared, downloaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from studio.library.png import read_recipe
from tests.browser.test_create import make, number, open_fine

Open = Callable[..., Page]
Shoot = Callable[..., Path]


def test_a_painted_photo_is_changed_there_alone(open_page: Open, shoot: Shoot, tmp_path: Path) -> None:
    high, wide = np.mgrid[0:160, 0:160]
    photo = tmp_path / "my sea.png"
    Image.fromarray(np.stack([wide, high, 200 - wide], axis=-1).astype(np.uint8)).save(photo)
    page = open_page()
    page.get_by_role("tab", name="Edit").click()
    expect(page.locator("#edit_sounds")).to_contain_text("rain.ogg")
    page.locator("#edit_make").click()
    expect(page.locator("#edit_status")).to_contain_text("Add a photo first")
    page.locator("#edit_photo input[type=file]").set_input_files(photo)
    expect(page.locator("#edit_photo_line")).to_contain_text("my sea.png, 160 x 160 px.")
    page.locator("#edit_fine button").first.click()
    number(page, "edit_num_inference_steps", 3)
    canvas = page.locator("#edit_mask canvas").first
    canvas.scroll_into_view_if_needed()
    page.wait_for_timeout(1500)  # until the photo lies on the canvas
    box = canvas.bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 15, middle[1], steps=4)
    page.mouse.up()
    page.locator("#edit_prompt textarea").press("Control+Enter")
    expect(page.locator("#edit_status")).to_contain_text("Done in")
    expect(page.locator("#edit_facts")).to_contain_text("read now in")
    expect(page.locator("#edit_slider img").first).to_be_visible()
    shoot(page)
    with page.expect_download() as info:
        page.locator("#edit_download").click()
    info.value.save_as(tmp_path / "out.png")
    recipe = read_recipe(tmp_path / "out.png")
    assert recipe.edit is not None
    assert recipe.edit.name == "my sea.png"
    assert recipe.edit.mask_sha256 is not None
    page.locator("#edit_make").click()
    expect(page.locator("#edit_facts")).to_contain_text("it was known from before")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shoot(page, "phone")


def test_a_picture_is_sent_stopped_changed_and_its_settings_come_back(
    open_page: Open, shoot: Shoot, tmp_path: Path
) -> None:
    page = open_page()
    open_fine(page)
    number(page, "num_inference_steps", 3)
    make(page)
    page.locator("#edit_this").click()
    expect(page.get_by_role("tab", name="Edit")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#edit_photo_line")).to_contain_text("needs no description")
    page.locator("#edit_fine button").first.click()
    steps = page.locator("#edit_num_inference_steps input[type=number]")
    expect(steps).to_have_value("3")

    number(page, "edit_num_inference_steps", 100)
    page.locator("#edit_make").click()
    expect(page.locator("#edit_status")).to_contain_text("Reading the photo")
    page.locator("#edit_stop").click()
    expect(page.locator("#edit_status")).to_contain_text("Stopped")
    expect(page.locator("#edit_make")).to_be_enabled()

    number(page, "edit_num_inference_steps", 3)
    page.get_by_role("radio", name="Exchange words").check()
    page.locator("#edit_prompt textarea").fill("a painting of A*")
    page.locator("#edit_make").click()
    expect(page.locator("#edit_status")).to_contain_text("Done in")
    page.locator("#edit_again button").first.click()
    expect(page.locator("#edit_again_picture img")).to_be_visible()
    shoot(page)
    with page.expect_download() as info:
        page.locator("#edit_download").click()
    info.value.save_as(tmp_path / "changed.png")
    recipe = read_recipe(tmp_path / "changed.png")
    assert recipe.edit is not None
    assert (recipe.edit.method, recipe.edit.source_prompt) == ("p2p", "")

    fresh = open_page()
    fresh.get_by_role("tab", name="Edit").click()
    fresh.locator("#edit_restore button").first.click()
    fresh.locator("#edit_drop input[type=file]").set_input_files(tmp_path / "changed.png")
    expect(fresh.locator("#edit_status")).to_contain_text("Settings restored from changed.png.")
    expect(fresh.locator("#edit_prompt textarea")).to_have_value("a painting of A*")
    expect(fresh.get_by_role("radio", name="Exchange words")).to_be_checked()
    fresh.locator("#edit_fine button").first.click()
    expect(fresh.locator("#edit_num_inference_steps input[type=number]")).to_have_value("3")
    shoot(fresh, "restored")
