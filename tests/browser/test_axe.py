"""axe-core finds nothing serious or critical: every tab, light and dark, on a desktop and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page

from tests.browser.tabs import TABS, open_tab

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"], "resultTypes": ["violations"]}


def violations(page: Page) -> list[str]:
    """What is serious or critical, as 'rule: the element's HTML'."""
    found = Axe().run(page, options=RULES).response["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {node['html'][:200]} {node['target']}" for one in grave for node in one["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_every_tab_can_be_used_by_everybody(
    open_page: Callable[..., Page], shoot: Callable[..., Path], options: dict[str, object], scheme: str
) -> None:
    page = open_page(color_scheme=scheme, **options)
    found = {}
    for name in TABS:
        open_tab(page, name)
        shoot(page, name)
        closed = page.locator(f"#{name} button.label-wrap:not(.open):visible")
        for _ in range(closed.count()):  # what is folded is looked at too
            closed.first.click()
            page.wait_for_timeout(300)
        if wrong := violations(page):
            found[name] = wrong
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
    assert found == {}
