"""The Journey tab in a real browser: a film is made, plays, and can be downloaded; it is there again later."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.test_create import number

Open = Callable[..., Page]
Shoot = Callable[..., Path]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def test_a_journey_is_made_and_plays(open_page: Open, shoot: Shoot, tmp_path: Path) -> None:
    page = open_page()
    page.get_by_role("tab", name="Journey").click()
    expect(page.locator("#journey_sounds")).to_contain_text("rain.ogg")
    page.get_by_label("From sound to sound").check()
    page.locator("#journey_make").click()
    expect(page.locator("#journey_status")).to_contain_text("add a second one")
    page.get_by_label("Volume sweep").check()
    number(page, "journey_frames", 4)
    number(page, "journey_fps", 4)
    page.locator("#journey_fine button").first.click()
    number(page, "journey_steps", 2)
    expect(page.locator("#journey_length")).to_contain_text("1.0 s of film")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#journey_sheet img")).to_be_visible()
    expect(page.locator("#journey_status")).to_contain_text("Done in")
    expect(page.locator("#journey_facts")).to_contain_text("4 pictures, 1.0 s of film")
    page.wait_for_function("document.querySelector('#journey_film video')?.duration > 0.9")
    shoot(page)
    with page.expect_download() as info:
        page.locator("#journey_mp4").click()
    info.value.save_as(tmp_path / "film.mp4")
    with av.open(str(tmp_path / "film.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 4
    with av.open(str(tmp_path / "film.mp4")) as film:  # the sound lies under it
        samples = np.concatenate([frame.to_ndarray().ravel() for frame in film.decode(audio=0)])
        assert np.abs(samples).max() > 0.01
    for name, form in (("gif", "GIF"), ("png", "PNG")):
        with page.expect_download() as info:
            page.locator(f"#journey_{name}").click()
        info.value.save_as(tmp_path / name)
        with Image.open(tmp_path / name) as picture:
            assert (picture.format, getattr(picture, "n_frames", 1)) == (form, {"gif": 4, "png": 1}[name])
    with page.expect_download() as info:
        page.locator("#journey_zip").click()
    info.value.save_as(tmp_path / "pictures.zip")
    with zipfile.ZipFile(tmp_path / "pictures.zip") as pack:
        assert len(pack.namelist()) == 4
    phone = open_page(**PHONE)
    phone.get_by_role("tab", name="Journey").click()
    expect(phone.locator("#journey_status")).to_contain_text("Your latest journey.")
    expect(phone.locator("#journey_film video")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    shoot(phone, "phone")
