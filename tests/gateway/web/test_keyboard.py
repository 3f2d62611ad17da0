"""Without a mouse."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.gateway.web.conftest import Look

pytestmark = pytest.mark.chromium


def tab_to(page: Page, name: str, most: int = 30) -> None:
    """Press Tab until what has the focus is called so."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if name in page.evaluate("document.activeElement.innerText || document.activeElement.id"):
            return
    raise AssertionError(f"Tab never came to {name!r}")


def test_predict_and_compare_without_a_mouse(look: Look) -> None:
    viewer = look("/#try/mixed")
    page = viewer.page
    expect(page.get_by_label("count pieces", exact=True)).to_have_value("2")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.get_by_label("count pieces", exact=True).focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    expect(page.locator(".figure").first).to_have_text("7.5 pieces")
    page.keyboard.press("Tab")
    page.keyboard.type("1")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")  # the radio buttons of `big`: from false to true
    expect(page.get_by_label("true", exact=True)).to_be_checked()
    tab_to(page, "Compare all")
    page.keyboard.press("Enter")
    expect(page.locator(".targets > li")).to_have_count(3)
    expect(page.get_by_role("button", name="Compare all")).to_be_focused()
    assert viewer.heard == []


def test_skipping_stays_in_the_view(look: Look) -> None:
    page = look("/#live").page
    expect(page.locator(".backends > li")).to_have_count(2)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    expect(page.locator("#live")).to_be_visible()


def test_the_focus_is_seen_everywhere(look: Look) -> None:
    page = look("/#try/mixed").page
    expect(page.get_by_label("count pieces", exact=True)).to_have_value("2")
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        name, drawn = page.evaluate("""() => {
          const it = document.activeElement;
          if (it === document.body) return ["", true]; // past the last
          const drawn = [it, it.nextElementSibling].filter(Boolean)
            .some((one) => getComputedStyle(one).outlineStyle !== "none");
          return [it.id || it.textContent, drawn];
        }""")
        if not name or name in seen:
            break
        seen.add(name)
        assert drawn, name
    assert len(seen) > 15


def test_the_dialog_keeps_the_focus_and_gives_it_back(look: Look) -> None:
    page = look("/#try/mixed").page
    page.get_by_role("button", name="API key").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="API key")).to_be_focused()
