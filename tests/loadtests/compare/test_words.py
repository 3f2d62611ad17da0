from __future__ import annotations

import math

import pytest

from loadtests.compare.words import amount, load, number, percent, share
from tests.loadtests.compare.factories import figure


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (29527.4, "29,527"),
        (99.7, "100"),
        (42.31, "42"),
        (9.96, "10"),
        (7.08, "7.1"),
        (1.043, "1.04"),
        (0.94, "0.94"),
        (0.0352, "0.035"),
        (3.81e-06, "3.8e-06"),
        (0, "0"),
        (-7.08, "-7.1"),
        (math.inf, "inf"),
    ],
)
def test_number(value: float, expected: str) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, "100"),
        (0, "0"),
        (0.5, "50"),
        (0.123, "12.3"),
        (0.99987, "99.987"),
        (0.99996, "99.996"),
        (0.00004, "0.004"),
    ],
)
def test_percent_is_all_or_nothing_only_where_it_is(value: float, expected: str) -> None:
    assert percent(value) == expected


def test_figures_with_their_intervals() -> None:
    assert amount(figure("a", 7.08, "ms", low=6.61, high=7.73)) == "7.1 (6.6–7.7) ms"
    assert amount(figure("a", 7.08, "ms")) == "7.1 ms"
    assert amount(figure("a", None)) == "—"
    assert share(figure("a", 0.25, low=0.2, high=0.3)) == "25 (20–30) %"
    assert share(figure("a", 25, "%")) == "25 %"


def test_loads() -> None:
    assert load("closed", 1, None, 1) == "with one client"
    assert load("closed", 1024, None, 1) == "with 1,024 clients"
    assert load("open", 256, 2500.0, 1) == "at 2,500 requests per second"
    assert load("batch", 1, None, 128) == "with 128 rows in each request"
