"""The tabs of the page, and how to open one: on a phone some are behind a menu."""

from __future__ import annotations

from playwright.sync_api import Page, expect

TABS = ("create_tab", "edit_tab", "journey_tab", "live_tab", "gallery_tab", "settings_tab")


def open_tab(page: Page, name: str) -> None:
    """Bring a tab into view, in any language."""
    button = page.locator(f"#{name}-button:visible")
    if not button.count():
        page.locator("#tabs .overflow-menu > button").first.click()
        button = page.locator("#tabs .overflow-dropdown button:visible").nth(_place_in_menu(page, name))
    button.first.click()
    expect(page.locator(f"#{name}")).to_be_visible()
    page.wait_for_timeout(400)


def _place_in_menu(page: Page, name: str) -> int:
    """Which entry of the menu it is: the last ones are there, in their order."""
    count = page.locator("#tabs .overflow-dropdown button:visible").count()
    return TABS.index(name) - (len(TABS) - count)
