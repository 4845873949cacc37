"""The Settings tab in a real browser: what is set there acts, and is still there after the page is loaded again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from studio.ui.service import Service
from tests.browser.conftest import PATIENCE
from tests.browser.tabs import open_tab
from tests.browser.test_create import number, open_fine

Open = Callable[..., Page]
expect.set_options(timeout=PATIENCE)
DARK = "document.body.classList.contains('dark')"


def steps(page: Page) -> str:
    """What the number box of the steps in Create shows."""
    return page.locator("#num_inference_steps input[type=number]").input_value()


def test_what_is_set_acts_and_stays(open_page: Open) -> None:
    page = open_page()
    open_tab(page, "settings_tab")
    number(page, "settings_num_inference_steps", 7)
    expect(page.locator("#settings_status")).to_contain_text("Kept in this browser")
    page.locator("#settings_clean_voice input").check()
    page.wait_for_function("window.hearsight.cleanVoice === true")
    open_tab(page, "create_tab")
    open_fine(page)
    assert steps(page) == "7"
    page.reload()
    page.wait_for_selector("#make:not([disabled])")
    page.wait_for_function("window.hearsight.cleanVoice === true")
    open_fine(page)
    expect(page.locator("#num_inference_steps input[type=number]")).to_have_value("7")
    open_tab(page, "settings_tab")
    expect(page.locator("#settings_num_inference_steps input[type=number]")).to_have_value("7")
    expect(page.locator("#settings_clean_voice input")).to_be_checked()
    page.locator("#settings_reset").click()
    expect(page.locator("#settings_status")).to_contain_text("model's own")
    page.reload()
    page.wait_for_selector("#make:not([disabled])")
    open_fine(page)
    assert steps(page) != "7"


def test_colours_and_language(open_page: Open) -> None:
    page = open_page(color_scheme="light")
    open_tab(page, "settings_tab")
    page.locator("#settings_theme label", has_text="Dark").click()
    page.wait_for_function(DARK)
    page.locator("#theme").click()
    page.wait_for_function(f"!{DARK}")
    page.locator("#settings_theme label", has_text="As on this device").click()
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(DARK)
    page.locator("#settings_language label", has_text="Deutsch").click()
    expect(page.locator("#make")).to_have_text("Bild machen")
    assert page.evaluate("document.documentElement.lang") == "de"
    open_tab(page, "settings_tab")
    expect(page.locator("#settings_language label.selected")).to_have_text("Deutsch")
    page.locator("#settings_language label", has_text="Wie im Browser").click()
    expect(page.locator("#make")).to_have_text("Make picture")


def test_where_things_are_and_what_was_read_of_photos(
    open_page: Open, service: Service, tmp_path: Path, monkeypatch: object
) -> None:
    import studio.ui.settings_tab as tab

    kept = tmp_path / "photos-read"
    kept.mkdir()
    (kept / "a.safetensors").write_bytes(bytes(2_000_000))
    (kept / "a letter.txt").write_text("not ours")
    monkeypatch.setattr(tab, "photo_cache_folder", lambda: kept)  # type: ignore[attr-defined]
    page = open_page()
    open_tab(page, "settings_tab")
    expect(page.locator("#settings_places")).to_contain_text(str(service.pictures))
    expect(page.locator("#settings_places")).to_contain_text("2.0 MB")
    page.locator("#settings_empty").click()
    expect(page.locator("#settings_emptied")).to_contain_text("Deleted: 2.0 MB")
    expect(page.locator("#settings_empty")).to_be_disabled()
    assert [path.name for path in kept.iterdir()] == ["a letter.txt"]


def test_a_template_is_saved_used_and_deleted(open_page: Open, service: Service) -> None:
    page = open_page()
    page.locator("#prompt textarea, #prompt input").fill("a quiet harbour with A* at night")
    expect(page.locator("#template label.selected")).to_have_text("Free")
    page.locator("#template_save").click()
    page.locator("#template_sure").click()
    expect(page.locator("#template_status")).to_contain_text("A template needs a name")
    page.locator("#template_name input, #template_name textarea").fill("../../Night harbour")
    open_fine(page)
    number(page, "guidance_scale", 2.5)
    page.locator("#template_whole input").check()
    page.locator("#template_sure").click()
    expect(page.locator("#template label.selected")).to_have_text("../../Night harbour")
    folder = service.pictures.parent / "presets"
    assert [path.name for path in folder.iterdir()] == ["night-harbour.json"]
    other = open_page()  # another browser sees it beside the others
    other.locator("#template label", has_text="Night harbour").click()
    expect(other.locator("#prompt textarea, #prompt input")).to_have_value("a quiet harbour with A* at night")
    open_fine(other)
    expect(other.locator("#guidance_scale input[type=number]")).to_have_value("2.5")
    other.locator("#template_delete").click()
    expect(other.locator("#template_status")).to_contain_text("deleted")
    expect(other.locator("#template label.selected")).to_have_text("Free")
    assert list(folder.iterdir()) == []
