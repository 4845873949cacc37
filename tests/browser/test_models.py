"""The menus of image models and adapters, and the phrases of A*, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from studio.ui.service import Service
from tests.browser.conftest import PATIENCE
from tests.browser.test_create import download, make, number, open_fine
from tests.models import build_tiny_stable_diffusion
from tests.ui.running import running

Open = Callable[..., Page]
expect.set_options(timeout=PATIENCE)
WORDS = "#concepts textarea, #concepts input"


@pytest.fixture(scope="module")
def url(service: Service, home: Path) -> Iterator[str]:
    """The app on a machine with one image model of the user's own, and no network."""
    build_tiny_stable_diffusion(home / "weights" / "models" / "tiny house")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEARSIGHT_MODELS", str(home / "weights"))
        patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(home / "hub"))
        patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        with running(service) as address:
            yield address


def unfold(page: Page) -> None:
    """Open the panel, and wait until it has looked what is here."""
    page.locator("#models > button, #models .label-wrap").first.click()
    expect(page.locator("#model_line")).to_contain_text("By itself it draws")


def choose(page: Page, menu: str, title: str) -> None:
    """Choose the entry of a menu that begins so; whether it fits stands behind, and depends on the machine."""
    page.locator(f"#{menu} input").click()
    page.get_by_role("option", name=title).first.click()
    expect(page.locator(f"#{menu} input")).to_have_value(re.compile(re.escape(title)))


def test_switching_the_model_and_back_by_a_picture(
    open_page: Open, shoot: Callable[..., Path], tmp_path: Path
) -> None:
    page = open_page()
    unfold(page)
    choose(page, "image_model", "tiny house")
    expect(page.locator("#model_line")).to_contain_text("By itself it draws 64 px in 4 steps.")
    expect(page.locator("#adapter_line")).to_contain_text("Made for other models: gated, word")
    expect(page.locator(WORDS)).to_be_visible()
    open_fine(page)
    expect(page.locator("#width input[type=number]")).to_have_value("64")
    expect(page.locator("#num_inference_steps input[type=number]")).to_have_value("4")
    make(page)
    expect(page.locator(WORDS)).to_have_value("rain:1.000")
    shoot(page, "tiny")
    _, recipe = download(page, tmp_path)
    assert (recipe.model, recipe.adapter, recipe.width) == ("tiny house", "concepts", 64)

    choose(page, "image_model", "Stable Diffusion XL: 13.9 GB to download")
    expect(page.locator("#model_question")).to_contain_text("Download about 13.9 GB from huggingface.co?")
    page.locator("#model_fetch").click()
    expect(page.locator("#model_line")).to_contain_text("could not be downloaded")
    expect(page.locator("#model_line")).to_contain_text("copy the model's Diffusers folder to this machine")
    expect(page.locator("#model_fetch")).to_be_enabled()
    shoot(page, "offline")
    page.locator("#make").click()
    expect(page.locator("#status")).to_contain_text("is not on this machine yet")

    page.locator("#reuse").click()
    expect(page.locator("#image_model input")).to_have_value("tiny house")
    expect(page.locator("#adapter input")).to_have_value("Phrases for what is heard")


def test_words_by_hand_on_pocket(open_page: Open, shoot: Callable[..., Path], tmp_path: Path) -> None:
    page = open_page()
    unfold(page)
    assert not page.locator(WORDS).is_visible()
    choose(page, "adapter", "Phrases for what is heard")
    number(page, "temperature", 3)
    page.locator("#phrases_show").click()
    expect(page.locator(WORDS)).to_have_value(re.compile(r"rain:0\.\d{3}, sea waves:0\.\d{3}, .+:0\.\d{3}"))
    page.locator(WORDS).fill("fire:1, night:0.4")
    open_fine(page)
    number(page, "seed", 7)
    make(page)
    shoot(page, "fire")
    path, recipe = download(page, tmp_path)
    assert (recipe.model, recipe.concepts, recipe.temperature) == ("pocket", "fire:1, night:0.4", 3)

    fresh = open_page()  # another browser, on another day: the picture alone brings it all back
    fresh.locator("#restore button.label-wrap").click()
    fresh.locator("#drop input[type=file]").set_input_files(path)
    expect(fresh.locator("#status")).to_contain_text("Settings restored")
    unfold(fresh)
    expect(fresh.locator("#adapter input")).to_have_value("Phrases for what is heard")
    expect(fresh.locator(WORDS)).to_have_value("fire:1, night:0.4")
    expect(fresh.locator("#temperature input[type=number]")).to_have_value("3")
    make(fresh)
    again, _ = download(fresh, tmp_path / "again")
    with Image.open(again) as one, Image.open(path) as other:  # their other chunks differ: it heard no sound
        assert one.tobytes() == other.tobytes()
