"""The page in the language of the browser: labels, what is said while it works, and nothing too wide."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE
from tests.browser.tabs import TABS, open_tab
from tests.browser.test_create import number

expect.set_options(timeout=PATIENCE)
SEEN = {
    "de-DE": (
        "Bild machen",
        "Stopp",
        "Klang",
        "Feineinstellungen",
        "Ein Foto von A*",
        "Regen",
        "Fertig in",
        "Reise machen",
    ),
    "ja-JP": ("絵を作る", "停止", "音", "詳細設定", "A* の写真", "雨", "で完成", "旅を作る"),
    "tr-TR": ("Resim yap", "Durdur", "Ses", "İnce ayarlar", "A* foto", "Yağmur", "içinde bitti", "Yolculuk yap"),
    "fr-FR": ("Make picture", "Stop", "Sound", "Fine controls", "A photo of A*", "Rain", "Done in", "Make journey"),
}


@pytest.mark.parametrize("locale", SEEN)
def test_the_language_of_the_browser(open_page: Callable[..., Page], shoot: Callable[..., Path], locale: str) -> None:
    make, stop, sound, fine, template, rain, done, journey = SEEN[locale]
    page = open_page(locale=locale)
    expect(page.locator("#make")).to_have_text(make)
    expect(page.locator("#stop")).to_have_text(stop)
    expect(page.locator("#create h2").first).to_contain_text(sound)
    expect(page.locator("#fine")).to_contain_text(fine)
    expect(page.locator("#template label.selected")).to_contain_text(template)
    expect(page.locator("#starters label.selected")).to_have_text(rain)
    page.locator("#fine button").first.click()
    number(page, "num_inference_steps", 2)
    page.locator("#make").click()
    expect(page.locator("#status")).to_contain_text(done)  # said by the server
    expect(page.locator("#make")).to_have_text(make)
    for width, height in ((1366, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        for name in TABS:
            open_tab(page, name)
            shoot(page, f"{name}-{width}")
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (name, width)
            if name == "journey_tab":
                expect(page.locator("#journey_make")).to_have_text(journey)
