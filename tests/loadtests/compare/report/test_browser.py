"""The report in a real browser, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from loadtests.compare.report import write_html
from tests.chromium import chromium
from tests.loadtests.compare.report.documents import full
from tests.loadtests.compare.report.odd import odd

pytestmark = pytest.mark.chromium

_SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
#: Of each figure: where its plot is, and whether it is to be seen.
_BOXES = """
(figures) => figures.map((figure) => {
  const plot = figure.querySelector("svg");
  const { width, height, right } = plot.getBoundingClientRect();
  return { width, height, right, visible: plot.checkVisibility({ visibilityProperty: true }) };
})
"""
#: The contrasts to the page's colour, as WCAG 2 defines them, that are too low.
_TOO_FAINT = """
(elements) => {
  const light = (css) => {
    const parts = css.match(/[\\d.]+/g).slice(0, 3).map((v) => {
      const c = v / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  return elements.map((element) => {
    const style = getComputedStyle(element);
    const own = light(element instanceof SVGElement ? style.fill : style.color);
    const ratio = (Math.max(own, paper) + 0.05) / (Math.min(own, paper) + 0.05);
    return [element.textContent, ratio];
  }).filter(([, ratio]) => ratio < 4.5);
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report with everything in it."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_html(full(), path)
    return path


def _open(
    browser: Browser, path: Path, size: str, scheme: Literal["light", "dark"]
) -> tuple[Page, list[str]]:
    """The page, and all it complained of: console, exceptions, requests."""
    width, height = _SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    heard: list[str] = []
    page.on("console", lambda message: heard.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: heard.append(f"exception: {error}"))
    page.on("requestfailed", lambda request: heard.append(f"failed: {request.url}"))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("file:", "data:"))
            else heard.append(f"asked for {request.url}")
        ),
    )
    page.goto(path.as_uri())
    return page, heard


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_it_opens_and_every_plot_is_seen(
    browser: Browser, report: Path, size: str, scheme: Literal["light", "dark"]
) -> None:
    page, heard = _open(browser, report, size, scheme)
    boxes = page.locator("figure").evaluate_all(_BOXES)
    assert len(boxes) > 10
    for box in boxes:
        assert box["visible"]
        assert box["width"] > 250
        assert box["height"] > 60
        assert box["right"] <= _SIZES[size][0]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert heard == []
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_the_page(
    browser: Browser, report: Path, scheme: Literal["light", "dark"]
) -> None:
    """4.5 to 1, for every text of the plots and every kind of text of the page."""
    page, _ = _open(browser, report, "desktop", scheme)
    texts = page.locator("figure svg text, td .value, .between, .hint, .mark, .verdict, a")
    assert texts.count() > 500
    assert texts.evaluate_all(_TOO_FAINT) == []
    page.context.close()


def test_no_text_of_a_plot_is_cut_off(browser: Browser, report: Path) -> None:
    page, _ = _open(browser, report, "desktop", "light")
    cut = page.evaluate("""
      [...document.querySelectorAll("figure svg")].flatMap((svg) => {
        const box = svg.getBoundingClientRect();
        return [...svg.querySelectorAll("text")].filter((text) => {
          const own = text.getBoundingClientRect();
          return own.left < box.left - 1 || own.right > box.right + 1
              || own.top < box.top - 1 || own.bottom > box.bottom + 1;
        }).map((text) => text.textContent);
      })
    """)
    assert cut == []
    page.context.close()


def test_a_number_leads_to_its_figure(browser: Browser, report: Path) -> None:
    page, _ = _open(browser, report, "desktop", "light")
    link = page.locator(".advice li a").nth(1)
    target = link.get_attribute("href")
    assert target is not None
    link.click()
    place = page.locator(f'[id="{target[1:]}"]')
    assert page.url.endswith(target)
    assert page.evaluate("document.querySelector(':target').textContent") == place.text_content()
    box = place.bounding_box()
    assert box is not None
    assert 0 <= box["y"] < _SIZES["desktop"][1]
    page.context.close()


def test_it_prints_light_and_whole(browser: Browser, report: Path, tmp_path: Path) -> None:
    """On the width of A4 within its margins nothing is wider than the sheet."""
    page, heard = _open(browser, report, "desktop", "dark")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 695, "height": 1024})
    assert page.evaluate("document.documentElement.scrollWidth") <= 695
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark == "rgb(255, 255, 255)"
    printed = page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    assert printed.startswith(b"%PDF")
    assert heard == []
    page.context.close()


def test_odd_values_and_markup_do_no_harm(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "odd.html"
    write_html(odd(), path)
    page, heard = _open(browser, path, "phone", "light")
    assert heard == []
    assert page.locator("script").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.context.close()
