"""The sound desk in a real browser: several starters become one picture, and come back from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from studio.recipe import Recipe
from studio.sound.decode import read_clip
from studio.ui.service import Service
from studio.word import unpack_word
from tests.browser.test_create import download, make, number, open_fine

Open = Callable[..., Page]
Shoot = Callable[..., Path]
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


def unfold(page: Page) -> None:
    """Open the desk, when the ear is there."""
    expect(page.locator("#heard li")).to_have_count(3)
    page.locator("#desk > button, #desk .label-wrap").first.click()
    expect(page.locator("#join")).to_be_visible()


def starter(page: Page, name: str, letter: str) -> None:
    """Choose a starter for a track, and wait for the ear."""
    page.locator(f"#starters_{letter} label", has_text=name).click()
    expect(page.locator(f"#heard_{letter}")).to_contain_text(re.compile(r"The ear hears .* LUFS"))


def trim(page: Page, letter: str, grip: int, by: float) -> None:
    """Drag the first (0) or the second (1) grip on a track's waveform by a share of the whole sound."""
    grips = page.locator(f"#sound_{letter} .trim b")
    expect(grips).to_have_count(2)
    grips.nth(grip).scroll_into_view_if_needed()
    box = grips.nth(grip).bounding_box()
    whole = page.locator(f"#sound_{letter} .trim").bounding_box()
    assert box is not None and whole is not None
    x, y, before = (
        box["x"] + box["width"] / 2,
        box["y"] + box["height"] / 2,
        page.locator(f"#facts_{letter}").inner_text(),
    )
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by * whole["width"], y, steps=4)
    page.mouse.up()
    expect(page.locator(f"#facts_{letter}")).not_to_have_text(before)


def plays(page: Page, name: str) -> None:
    """Choose what is played, and wait for the ear."""
    page.locator("#scene_which label", has_text=name).click()
    expect(page.locator("#scene_which label.selected")).to_have_text(name)
    expect(page.locator("#scene_heard li")).to_have_count(3)


def join(page: Page, name: str) -> None:
    """Choose how the sounds become one."""
    page.locator("#join label", has_text=name).click()
    expect(page.locator("#join label.selected")).to_have_text(name)


def few_steps(page: Page) -> None:
    """Pictures are not looked at here."""
    open_fine(page)
    number(page, "num_inference_steps", 3)


def make_another(page: Page) -> None:
    """Press Make while the last picture is still said to be done."""
    name = page.locator("#about").inner_text().split(" · ")[-1].strip()
    assert name.endswith(".png")
    page.locator("#make").click()
    expect(page.locator("#about")).not_to_contain_text(name)
    expect(page.locator("#about")).to_contain_text(".png")
    expect(page.locator("#status")).to_contain_text("Done in")
    expect(page.locator("#make")).to_be_enabled()


def word(recipe: Recipe) -> np.ndarray:
    assert recipe.word is not None
    return unpack_word(recipe.word)


def test_two_sounds_make_a_picture_that_brings_the_desk_back(open_page: Open, shoot: Shoot, tmp_path: Path) -> None:
    page = open_page()
    few_steps(page)
    unfold(page)
    starter(page, "Church bells", "b")
    number(page, "gain_b", -6)
    number(page, "pan_b", 0.5)
    page.locator("#room_b input").click()
    page.get_by_role("option", name="Concert hall").click()
    trim(page, "b", 0, 0.2)
    trim(page, "b", 1, -0.3)
    expect(page.locator("#facts_b")).to_contain_text(re.compile("heard: 0:01.0 to 0:03.5"))
    page.locator("#listen").click()
    expect(page.locator("#scene_heard li")).to_have_count(3)
    expect(page.locator("#scene_heard")).to_contain_text("Shares of the picture: A")
    expect(page.locator("#scene_facts")).to_contain_text("5.0 s · stereo")
    expect(page.locator("#scene_sound")).to_contain_text("0:05")
    shoot(page, "scene")
    plays(page, "Sound B")
    expect(page.locator("#scene_sound")).to_contain_text("Sound B, exactly as the ear gets it: mono, 16 kHz")
    expect(page.locator("#scene_facts")).to_contain_text("· mono ·")
    expect(page.locator("#scene_heard li").first).to_contain_text("church bells")
    shoot(page, "bells")
    with page.expect_download() as info:
        page.locator("#scene_sound a[download], #scene_sound button[aria-label='Download']").first.click()
    info.value.save_as(tmp_path / "bells.wav")
    heard = read_clip(tmp_path / "bells.wav")
    assert (heard.channels, heard.rate) == (1, 16_000)
    assert heard.seconds == pytest.approx(2.5, abs=0.1)
    plays(page, "The scene")
    expect(page.locator("#scene_facts")).to_contain_text("· stereo ·")
    page.locator("#mute_b input").check()
    expect(page.locator("#scene")).to_be_hidden()  # it is no longer what the ear would hear
    expect(page.locator("#desk_status")).to_contain_text("Something was changed")
    page.locator("#mute_b input").uncheck()
    make(page)
    path, recipe = download(page, tmp_path)
    assert [track.name for track in recipe.tracks] == ["rain.ogg", "church_bells.ogg"]
    bells = recipe.tracks[1]
    assert (bells.gain, bells.pan, bells.room, bells.mute) == (-6, 0.5, "concert-hall", False)
    assert bells.start == pytest.approx(1.0, abs=0.05)
    assert bells.duration == pytest.approx(2.5, abs=0.1)
    assert recipe.join == "mix"

    fresh = open_page()  # another browser, on another day
    expect(fresh.locator("#heard li")).to_have_count(3)
    fresh.locator("#restore > button, #restore .label-wrap").first.click()
    fresh.locator("#drop input[type=file]").set_input_files(path)
    expect(fresh.locator("#status")).to_contain_text("Settings restored")
    expect(fresh.locator("#starters_b label.selected")).to_have_text("Church bells")
    expect(fresh.locator("#heard_b")).to_contain_text("LUFS")
    expect(fresh.locator("#gain_b input[type=number]")).to_have_value("-6")
    expect(fresh.locator("#pan_b input[type=number]")).to_have_value("0.5")
    expect(fresh.locator("#facts_b")).to_contain_text("heard: 0:01.0 to 0:03.5")
    left, width = (
        float(fresh.locator("#sound_b .trim i").evaluate(f"e => parseFloat(e.style.{one})"))
        for one in ("left", "width")
    )
    assert left == pytest.approx(20, abs=1)  # percent of the waveform
    assert width == pytest.approx(50, abs=2)
    expect(fresh.locator("#room_b input")).to_have_value("Concert hall")
    shoot(fresh, "restored")
    make(fresh)
    _, again = download(fresh, tmp_path / "again")
    assert again.word == recipe.word
    assert (again.tracks, again.seed) == (recipe.tracks, recipe.seed)
    number(fresh, "gain_b", -3)
    make_another(fresh)
    _, changed = download(fresh, tmp_path / "changed")
    assert changed.word != recipe.word
    assert changed.tracks[1].gain == -3


def test_the_end_of_a_morph_is_the_single_sound(open_page: Open, shoot: Shoot, tmp_path: Path) -> None:
    page = open_page()
    few_steps(page)
    page.locator("#starters label", has_text="Fire").click()
    expect(page.locator("#heard li").first).to_contain_text("fire")
    number(page, "seed", 77)
    expect(page.locator("#keep_seed input")).to_be_checked()
    make(page)
    path, single = download(page, tmp_path)
    page.locator("#starters label").first.click()
    expect(page.locator("#heard li").first).to_contain_text("rain")
    unfold(page)
    starter(page, "Fire", "b")
    join(page, "Morph")
    number(page, "balance", 100)
    make_another(page)
    last, end = download(page, tmp_path / "end")
    assert (end.join, end.weights) == ("morph", (0, 1))
    assert end.word == single.word
    assert Image.open(last).tobytes() == Image.open(path).tobytes()  # the same picture, to the last bit
    number(page, "balance", 30)
    make_another(page)
    between = download(page, tmp_path / "between")[1]
    assert between.weights == (0.7, 0.3)
    assert not np.allclose(word(between), word(single), atol=1e-2)
    shoot(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_desk_on_a_phone(open_page: Open, shoot: Shoot, service: Service, scheme: str) -> None:
    page = open_page(**PHONE, color_scheme=scheme)
    fits = "document.documentElement.scrollWidth <= window.innerWidth"
    few_steps(page)
    unfold(page)
    shoot(page, "empty")
    starter(page, "Dog", "b")
    page.locator("#add_sound").tap()
    expect(page.locator("#add_sound")).to_be_visible()
    starter(page, "Fire", "c")
    assert page.evaluate(fits)
    page.locator("#match").tap()
    expect(page.locator("#desk_status")).to_contain_text("Equally loud now: A")
    join(page, "One after another")
    page.locator("#listen").tap()
    expect(page.locator("#scene_facts")).to_contain_text("LUFS")
    expect(page.locator("#scene_heard li")).to_have_count(3)
    assert page.evaluate(fits)
    shoot(page, "scene")
    join(page, "Morph")
    expect(page.locator("#weight_c")).to_be_visible()
    expect(page.locator("#balance")).to_be_hidden()
    page.locator("#remove_b").tap()
    expect(page.locator("#track_b")).to_be_hidden()
    expect(page.locator("#balance")).to_contain_text("From A (0) to C (100)")
    assert page.evaluate(fits)
    make(page)
    expect(page.locator("#about")).to_contain_text("rain.ogg + fire.ogg")
