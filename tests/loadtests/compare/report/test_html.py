"""The HTML report: one file, every figure in one place, every number led to, nothing trusted."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from loadtests.compare.errors import CompareError
from loadtests.compare.report import write_html
from loadtests.compare.report.html import html
from loadtests.compare.report.numerals import number
from loadtests.compare.results import Results
from tests.loadtests.compare.report.documents import full, nothing
from tests.loadtests.compare.report.odd import HOSTILE, odd
from tests.loadtests.compare.report.page import Page


@pytest.fixture(scope="module")
def document() -> Results:
    """Everything."""
    return full()


@pytest.fixture(scope="module")
def text(document: Results) -> str:
    """Its report."""
    return html(document)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    """The same, taken apart."""
    return Page(text)


def test_every_figure_is_in_one_place(document: Results, page: Page) -> None:
    assert {name for name, count in page.ids.items() if count > 1} == set()
    assert set(document.figures()) - set(page.ids) == set()


def test_a_figure_s_place_shows_its_number(document: Results, page: Page) -> None:
    for one in document.contrasts:
        assert page.texts[one.ratio.id] == number(one.ratio.value)
    for server in document.servers:
        assert page.texts[server.memory_loaded.id] == number(server.memory_loaded.value)


def test_every_link_leads_somewhere(page: Page) -> None:
    assert [link for link in page.links if link[1:] not in page.ids] == []


def test_every_figure_of_a_sentence_is_led_to(document: Results, page: Page) -> None:
    rested_on = [f for one in document.advice for s in one.sentences for f in s.figures]
    assert rested_on
    assert {f"#{name}" for name in rested_on} - set(page.links) == set()


def test_nothing_is_loaded(text: str, page: Page) -> None:
    assert [one for one in page.loaded if not one.startswith("data:")] == []
    assert page.tags["script"] == 0
    assert re.findall(r"url\((?!#)[^)]*\)|@import", text) == []


def test_plots_have_words_and_the_page_s_colours(document: Results, text: str, page: Page) -> None:
    plots = re.findall(r'<svg class="plot" role="img" aria-label="([^"]+)"', text)
    assert len(plots) == page.tags["figure"] == page.tags["svg"]
    loads = {(p.shape, p.connections, p.rate, p.rows) for p in document.points}
    # Besides a distribution for each load: four of throughput, two of cost and of Locust, a
    # histogram for each pair.
    assert len(plots) == len(loads) + 4 + 2 + 2 + len(document.parity)
    drawn = "".join(re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL))
    assert set(re.findall(r"#[0-9a-f]{6}\b", drawn)) == set()
    assert "var(--c1)" in drawn


def test_every_colour_is_defined_for_light_and_dark(text: str) -> None:
    used = set(re.findall(r"var\(--(\w+)\)", text))
    light, dark = re.findall(r":root \{(.*?)\}", text, flags=re.DOTALL)
    colours = set(re.findall(r"--(\w+): #", light))
    assert used - {"sans"} == used & colours
    assert set(re.findall(r"--(\w+): #", dark)) == colours


def test_a_stand_in_is_named_in_every_row_and_plot_that_shows_it(
    document: Results, text: str
) -> None:
    stood_in = {s.name for s in document.subjects if s.stand_in}
    rows = re.findall(r"<tr>(.*?)</tr>", text, flags=re.DOTALL)
    seen = 0
    for row in rows:
        words = re.sub(r"<[^>]+>", "", row)
        if any(words.lstrip().startswith(name) for name in stood_in):
            seen += 1
            assert "stand-in" in words
    assert seen > len(stood_in)
    for drawn in re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL):
        labels = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
        for name in stood_in & set(labels):
            assert "stand-in" in labels, f"{name} is drawn without its mark"


def test_what_the_load_generator_bounded_is_marked(document: Results, page: Page) -> None:
    point = next(one for one in document.points if one.driver_limited)
    assert page.texts[point.requests_per_s.id].startswith("≥ ")
    assert page.texts[point.p99.id].startswith("≤ ")
    free = next(one for one in document.points if not one.driver_limited)
    assert page.texts[free.requests_per_s.id].startswith(number(free.requests_per_s.value)[0])


def test_the_same_document_gives_the_same_report(document: Results, text: str) -> None:
    assert html(document) == text


def test_nothing_measured_is_still_a_report() -> None:
    page = Page(html(nothing()))
    assert page.tags["svg"] == 0
    assert {"to-short", "to-method"} <= set(page.ids)
    assert not {"to-speed", "to-parity", "to-cost", "to-locust"} & set(page.ids)


def test_odd_values_and_markup_do_no_harm() -> None:
    text = html(odd())
    page = Page(text)
    assert page.tags["script"] == 0
    assert HOSTILE not in text
    assert max(page.ids.values()) == 1
    assert set(odd().figures()) - set(page.ids) == set()


def test_a_single_point_or_value_draws() -> None:
    """One subject, one load, no interval, all counts 0."""
    document = full()
    point = document.points[0]
    figure = msgspec.structs.replace(point.requests_per_s, low=None, high=None)
    zero = msgspec.structs.replace(point.p50, value=0.0, low=0.0, high=0.0)
    lone = msgspec.structs.replace(point, requests_per_s=figure, p50=zero, curve=[(0.5, 0.0)])
    page = Page(html(msgspec.structs.replace(document, points=[lone], contrasts=[], advice=[])))
    assert page.tags["svg"] > 0


def test_it_says_where_it_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(CompareError, match="cannot be written: No such file"):
        write_html(nothing(), tmp_path / "none" / "report.html")
