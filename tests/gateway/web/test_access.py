"""For everyone: axe finds nothing but minor things, and nothing is wider than a phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.gateway.web.conftest import Look
from tests.gateway.web.serving import Served, press

pytestmark = pytest.mark.chromium


def predict(page: Page) -> None:
    page.get_by_label("count pieces", exact=True).fill("99")
    press(page, "Predict")
    expect(page.locator(".answer")).to_be_visible()


def compare(page: Page) -> None:
    press(page, "Compare all")
    expect(page.locator(".targets > li")).to_have_count(3)


def error(page: Page) -> None:
    page.get_by_label("count pieces", exact=True).fill("many")
    press(page, "Predict")
    expect(page.get_by_role("alert")).to_contain_text("does not fit")


def enter_key(page: Page) -> None:
    press(page, "API key")
    expect(page.get_by_role("dialog")).to_be_visible()


def edit_json(page: Page) -> None:
    page.get_by_label("JSON", exact=True).check(force=True)
    expect(page.get_by_label("The request’s body")).to_be_visible()


def live(page: Page) -> None:
    expect(page.locator(".backends > li")).to_have_count(2)


def docs(page: Page) -> None:
    page.locator("#operations-Predict-predict .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_label("model", exact=True).select_option("linear")  # the first example's
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table")).to_be_visible()


VIEWS: list[tuple[str, Callable[[Page], None]]] = [
    ("/#try/mixed", predict),
    ("/#try/mixed", compare),
    ("/#try/mixed", error),
    ("/#try/mixed", enter_key),
    ("/#try/mixed", edit_json),
    ("/#live", live),
    ("/docs", docs),
]


LOOKS = [
    *((*view, *look) for view in VIEWS for look in (("desktop", "light"), ("phone", "dark"))),
    *((*VIEWS[0], *look) for look in (("desktop", "dark"), ("phone", "light"))),
]


@pytest.mark.parametrize(
    ("path", "reach", "size", "scheme"),
    LOOKS,
    ids=[f"{reach.__name__}-{size}-{scheme}" for _, reach, size, scheme in LOOKS],
)
def test_nothing_more_than_minor(
    look: Look, path: str, reach: Callable[[Page], None], size: str, scheme: str
) -> None:
    viewer = look(path, size=size, scheme=scheme)
    reach(viewer.page)
    viewer.page.wait_for_timeout(300)  # colours and bars move for a moment
    found = Axe().run(viewer.page).response["violations"]
    more_than_minor = [
        (entry["id"], node["html"][:200])
        for entry in found
        if entry["impact"] != "minor"
        for node in entry["nodes"]
    ]
    assert more_than_minor == []
    assert viewer.fits()
    assert viewer.heard == (["422"] if reach is error else [])


def test_fingers_find_everything(browser: Browser, served: Served) -> None:
    """As WCAG 2.5.5 asks for: 44 pixels."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, base_url=served.url
    )
    page = context.new_page()
    page.goto("/#try/mixed")
    expect(page.locator("form.payload")).to_be_visible()
    small = page.evaluate("""() => [...document.querySelectorAll(
        "button:not(.unseen), select, input[type=text], nav a, .mark, .choice label")]
      .filter((one) => one.offsetParent && one.getBoundingClientRect().height < 44)
      .map((one) => one.id || one.textContent)""")
    assert small == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_colour_scheme(look: Look, scheme: str) -> None:
    for path in ("/#try/mixed", "/docs"):
        page = look(path, scheme=scheme).page
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        light = sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))
        assert (light > 600) == (scheme == "light")
