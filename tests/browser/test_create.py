"""The Create tab as a visitor meets it, in a real browser, on real recordings."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from studio.library.png import read_recipe
from studio.paths import assets_folder
from studio.recipe import Recipe
from studio.sound.clip import Clip
from studio.sound.decode import read_clip
from studio.sound.loudness import apply_gain
from studio.sound.write import write_wav
from studio.ui.service import Service
from tests.browser.conftest import PATIENCE
from tests.models import noise

Open = Callable[..., Page]
Shoot = Callable[..., Path]
expect.set_options(timeout=PATIENCE)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A real recording that is no starter, byte for byte; with a space and an umlaut in its name."""
    path = tmp_path / "my dög.wav"
    write_wav(apply_gain(read_clip(assets_folder() / "sounds" / "dog.ogg"), -6), path)
    return path


def upload(page: Page, path: Path) -> None:
    """Put a file into the sound, in place of what is there."""
    clear, file = page.locator("#sound button[aria-label='Clear']"), page.locator("#sound input[type=file]")
    expect(clear.or_(file).first).to_be_attached()  # a starter's waveform may still be on its way
    if clear.count():
        clear.first.click()
    file.first.set_input_files(path)


def say(page: Page, text: str) -> None:
    """Write the prompt."""
    page.locator("#prompt textarea, #prompt input").fill(text)


def number(page: Page, name: str, value: float) -> None:
    """Type into the number box of a control."""
    box = page.locator(f"#{name} input[type=number], #{name} textarea, #{name} input[type=text]").first
    for _ in range(8):  # a control that was just unfolded may still put its own value back once
        box.fill(str(value))
        box.press("Tab")
        page.wait_for_timeout(300)
        if box.input_value() == str(value):
            return
    raise AssertionError(f"{name} does not keep {value}")


def open_fine(page: Page) -> None:
    """Unfold the fine controls."""
    if not page.locator("#num_inference_steps").is_visible():
        page.locator("#fine > button, #fine .label-wrap").first.click()
    expect(page.locator("#num_inference_steps")).to_be_visible()


def make(page: Page) -> None:
    """Press Make and wait for the picture."""
    page.locator("#make").click()
    expect(page.locator("#status")).to_contain_text("Done in")
    expect(page.locator("#make")).to_be_enabled()


def download(page: Page, folder: Path) -> tuple[Path, Recipe]:
    """Press Download; gives the file and the recipe inside."""
    with page.expect_download() as info:
        page.locator("#download").click()
    path = folder / info.value.suggested_filename
    info.value.save_as(path)
    return path, read_recipe(path)


def test_the_first_click_makes_a_picture(open_page: Open, shoot: Shoot, tmp_path: Path) -> None:
    page = open_page()
    expect(page.locator("#picture img")).to_be_visible()
    shoot(page, "start")
    make(page)
    shoot(page, "done")
    path, recipe = download(page, tmp_path)
    assert recipe.tracks[0].name == "rain.ogg"
    assert recipe.prompt == "a photo of A*"
    assert str(recipe.seed) in path.name
    open_fine(page)
    expect(page.locator("#seed textarea, #seed input")).to_have_value(str(recipe.seed))
    expect(page.locator("#about")).to_contain_text(f"seed {recipe.seed}")


def test_upload_make_download_and_bring_back(open_page: Open, shoot: Shoot, recording: Path, tmp_path: Path) -> None:
    page = open_page()
    upload(page, recording)
    expect(page.locator("#facts")).to_contain_text("5.0 s · mono")
    expect(page.locator("#heard li")).to_have_count(3)
    expect(page.locator("#credit")).not_to_contain_text("CC")
    page.locator("#template label", has_text="A painting of A*").click()
    expect(page.locator("#prompt textarea, #prompt input")).to_have_value("a painting of A*")
    open_fine(page)
    number(page, "num_inference_steps", 6)
    number(page, "seed", 4321)
    expect(page.locator("#keep_seed input")).to_be_checked()
    make(page)
    path, recipe = download(page, tmp_path)
    assert (recipe.seed, recipe.num_inference_steps, recipe.prompt) == (4321, 6, "a painting of A*")
    assert recipe.tracks[0].name.startswith("my d")
    assert recipe.tracks[0].path is None

    fresh = open_page()  # another browser, on another day
    expect(fresh.locator("#heard li")).to_have_count(3)
    fresh.locator("#restore > button, #restore .label-wrap").first.click()
    fresh.locator("#drop input[type=file]").set_input_files(path)
    expect(fresh.locator("#status")).to_contain_text("Settings restored")
    expect(fresh.locator("#prompt textarea, #prompt input")).to_have_value("a painting of A*")
    expect(fresh.locator("#template label.selected")).to_have_text("A painting of A*")
    expect(fresh.locator("#facts")).to_contain_text("5.0 s · mono")  # kept with its picture on this machine
    expect(fresh.locator("#heard li").first).to_contain_text("dog")
    open_fine(fresh)
    expect(fresh.locator("#seed textarea, #seed input")).to_have_value("4321")
    expect(fresh.locator("#num_inference_steps input[type=number]")).to_have_value("6")
    shoot(fresh, "restored")
    make(fresh)
    again, _ = download(fresh, tmp_path / "again")
    assert Image.open(path).tobytes() == Image.open(again).tobytes()


def test_stop_and_start_again(open_page: Open, shoot: Shoot) -> None:
    page = open_page()
    open_fine(page)
    number(page, "num_inference_steps", 100)
    number(page, "count", 4)
    page.locator("#prompt textarea, #prompt input").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#status")).to_contain_text(re.compile(r"Step \d+ of 125 · about .+ left"))
    shown = page.locator("#picture img").get_attribute("src")
    expect(page.locator("#picture img")).not_to_have_attribute("src", shown or "")  # a preview follows the other
    expect(page.locator("#make")).to_be_disabled()
    expect(page.locator("#seed textarea, #seed input")).to_have_value("")
    page.keyboard.press("Escape")  # no picture of the page before this: on a busy machine it takes longer than the job
    expect(page.locator("#status")).to_contain_text("Stopped at step")
    shoot(page, "stopped")
    expect(page.locator("#make")).to_be_enabled()
    expect(page.locator("#stop")).to_be_disabled()
    number(page, "num_inference_steps", 3)
    number(page, "count", 1)
    make(page)


def test_several_pictures_variation_and_strip(open_page: Open, shoot: Shoot, tmp_path: Path) -> None:
    page = open_page()
    open_fine(page)
    number(page, "num_inference_steps", 3)
    number(page, "count", 2)
    number(page, "seed", 70)
    before = page.locator("#strip .thumbnail-item").count()
    make(page)
    expect(page.locator("#strip .thumbnail-item")).to_have_count(min(before + 2, 18))
    assert download(page, tmp_path)[1].seed == 71
    page.locator("#variation").click()
    expect(page.locator("#about")).not_to_contain_text("seed 71")
    expect(page.locator("#status")).to_contain_text("Done in")
    varied = download(page, tmp_path)[1]
    assert varied.seed not in (70, 71)
    assert varied.count == 1
    page.reload()
    expect(page.locator("#about")).to_contain_text(f"seed {varied.seed}")
    page.locator("#strip .thumbnail-item").nth(2).click()
    expect(page.locator("#about")).to_contain_text("seed 70")
    page.locator("#reuse").click()
    expect(page.locator("#starters label.selected")).to_have_text("Rain")
    shoot(page)


@pytest.mark.parametrize(
    ("name", "content"), [("letter.wav", b"Dear sound, you are only text."), ("empty.ogg", b"")], ids=["text", "empty"]
)
def test_a_bad_file_is_a_sentence(open_page: Open, shoot: Shoot, tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    page = open_page()
    upload(page, path)
    alert = page.locator("#facts [role=alert]")
    expect(alert).to_contain_text(name)
    assert "/" not in alert.inner_text()
    page.locator("#make").click()
    expect(page.locator("#status [role=alert]")).to_contain_text(name)
    expect(page.locator("#make")).to_be_enabled()
    shoot(page)
    page.locator("#starters label").first.click()
    expect(page.locator("#facts")).to_contain_text("mono")
    make(page)


def test_silence_is_refused_with_advice(open_page: Open, shoot: Shoot, tmp_path: Path) -> None:
    path = tmp_path / "nothing.wav"
    write_wav(Clip(np.zeros((1, 16000), np.float32), 16000), path)
    page = open_page()
    upload(page, path)
    expect(page.locator("#heard")).to_contain_text("We heard almost nothing")
    page.locator("#make").click()
    expect(page.locator("#status [role=alert]")).to_contain_text("We heard almost nothing")
    assert "--gain" not in page.locator("#status").inner_text()
    expect(page.locator("#make")).to_be_enabled()
    shoot(page)


def test_no_sound_and_no_word_are_said(open_page: Open, shoot: Shoot) -> None:
    page = open_page()
    page.locator("#sound button[aria-label='Clear']").first.click()
    expect(page.locator("#heard")).to_contain_text("Add a sound")
    page.locator("#make").click()
    expect(page.locator("#status [role=alert]")).to_contain_text("Add a sound first")
    expect(page.locator("#make")).to_be_enabled()
    page.locator("#starters label", has_text="Fire").click()
    expect(page.locator("#facts")).to_contain_text("mono")
    say(page, "a photo of a house")
    expect(page.locator("#no_word")).to_be_visible()
    shoot(page)
    page.locator("#make").click()
    expect(page.locator("#status [role=alert]")).to_contain_text("Your prompt has no A*")
    page.locator("#add_word").click()
    expect(page.locator("#prompt textarea, #prompt input")).to_have_value("a photo of a house A*")
    expect(page.locator("#no_word")).to_be_hidden()
    make(page)


def test_the_part_of_a_long_sound_can_be_moved(open_page: Open, shoot: Shoot, tmp_path: Path) -> None:
    loud, soft = noise(10, seed=1).samples, noise(8, seed=2).samples * 0.1
    path = tmp_path / "long.wav"
    write_wav(Clip(np.concatenate([soft, loud, soft], axis=1), 16000), path)
    page = open_page()
    upload(page, path)
    expect(page.locator("#facts")).to_contain_text("26 s · mono")
    expect(page.locator("#facts")).to_contain_text("heard: 0:08.0 to 0:18.0")
    page.locator("#part > button, #part .label-wrap").first.click()
    number(page, "start", 2)
    number(page, "duration", 5)
    expect(page.locator("#facts")).to_contain_text("heard: 0:02.0 to 0:07.0")
    shoot(page)
    make(page)
    _, recipe = download(page, tmp_path)
    assert (recipe.tracks[0].start, recipe.tracks[0].duration) == (2.0, 5.0)


def test_recording_without_noise_suppression(open_page: Open, shoot: Shoot) -> None:
    page = open_page()
    script = "() => navigator.mediaDevices.getUserMedia({audio: true}).then(s => s.getAudioTracks()[0].getSettings())"
    assert page.evaluate(script)["noiseSuppression"] is False
    page.locator("#part > button, #part .label-wrap").first.click()
    page.locator("#clean_voice input").check()
    page.wait_for_function("window.hearsight.cleanVoice === true")
    assert page.evaluate(script)["noiseSuppression"] is True
    page.locator("#clean_voice input").uncheck()
    page.locator("#sound button[aria-label='Clear']").first.click()
    page.locator("#sound button[aria-label='Record audio']").click()
    page.locator("#sound .record-button, #sound button.record").first.click()
    page.wait_for_timeout(2500)
    page.locator("#sound .stop-button, #sound button.stop").first.click()
    expect(page.locator("#facts")).to_contain_text("peak")
    expect(page.locator("#heard li")).to_have_count(3)
    shoot(page)
    make(page)


def test_the_sound_of_a_video(open_page: Open, tmp_path: Path) -> None:
    import av

    path = tmp_path / "clip.webm"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libopus", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise(2, rate=48000).samples, format="flt", layout="mono")
        frame.rate = 48000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)
    page = open_page()
    page.locator("#part > button, #part .label-wrap").first.click()
    page.locator("#other input[type=file]").set_input_files(path)
    expect(page.locator("#facts")).to_contain_text("2.0 s · mono")
    expect(page.locator("#heard li")).to_have_count(3)


def test_on_a_phone(open_page: Open, shoot: Shoot) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, device_scale_factor=2, is_mobile=True, has_touch=True)
    fits = "document.documentElement.scrollWidth <= window.innerWidth"
    assert page.evaluate("window.innerWidth") == 390
    assert page.evaluate(fits)
    button = page.locator("#make").bounding_box()
    assert button is not None
    assert 700 < button["y"] < 844 - button["height"]
    shoot(page, "start", full=False)
    page.locator("#make").tap()
    expect(page.locator("#status")).to_contain_text("Done in")
    expect(page.locator("#picture img")).to_be_in_viewport()
    assert page.evaluate(fits)
    shoot(page, "done", full=False)
    shoot(page, "whole")
    open_fine(page)
    page.locator("#part > button, #part .label-wrap").first.click()
    assert page.evaluate(fits)
    shoot(page, "unfolded")


def test_dark_and_light(open_page: Open, shoot: Shoot) -> None:
    page = open_page(color_scheme="dark")
    dark = "document.body.classList.contains('dark')"
    assert page.evaluate(dark)
    shoot(page, "dark")
    page.locator("#theme").click()
    assert not page.evaluate(dark)
    page.reload()
    page.wait_for_selector("#make")
    page.wait_for_timeout(500)
    assert not page.evaluate(dark)


def test_a_closed_page_gives_its_place_up(open_page: Open, service: Service) -> None:
    page = open_page()
    open_fine(page)
    number(page, "num_inference_steps", 100)
    number(page, "count", 4)
    page.locator("#make").click()
    expect(page.locator("#status")).to_contain_text("Step")
    assert len(service.line) == 1
    page.close()
    for _ in range(100):
        if not len(service.line):
            break
        time.sleep(0.2)
    assert len(service.line) == 0


def test_two_visitors_at_once_hear_only_their_own_sounds(open_page: Open, recording: Path, tmp_path: Path) -> None:
    first, second = open_page(), open_page()
    upload(first, recording)
    expect(first.locator("#heard li").first).to_contain_text("dog")
    second.locator("#starters label", has_text="Fire").click()
    expect(second.locator("#heard li").first).to_contain_text("fire")
    assert "my" not in second.locator("#sound").inner_text() + second.locator("#facts").inner_text()
    for page in (first, second):
        open_fine(page)
        number(page, "num_inference_steps", 4)
    first.locator("#make").click()
    second.locator("#make").click()
    found = []
    for page in (first, second):
        expect(page.locator("#status")).to_contain_text("Done in")
        found.append(download(page, tmp_path)[1].tracks[0].name)
    assert found[0].startswith("my d") and found[1] == "fire.ogg"


def test_the_second_visitor_sees_the_line(open_page: Open) -> None:
    first, second = open_page(), open_page()
    open_fine(first)
    number(first, "num_inference_steps", 100)
    number(first, "count", 4)
    first.locator("#make").click()
    expect(first.locator("#status")).to_contain_text("Step")
    second.locator("#make").click()
    expect(second.locator("#status")).to_contain_text("1 ahead of you")
    second.locator("#stop").click()
    expect(second.locator("#status")).to_contain_text("Stopped before the first step")
    first.locator("#stop").click()
    expect(first.locator("#status")).to_contain_text("Stopped at step")
