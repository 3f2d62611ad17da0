"""Numbers are short, and never say more or less than they are."""

from __future__ import annotations

import math

import pytest

from loadtests.compare.report.numerals import duration, interval, latency, number, percent


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (28293.4, "28,293"),
        (16.702, "16.7"),
        (1.05, "1.05"),
        (0.04123, "0.0412"),
        (3.81e-6, "3.81e-06"),
        (-0.35, "−0.350"),
        (0.0, "0"),
        (None, "—"),
        (math.nan, "—"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
    ],
)
def test_a_number_has_about_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("low", "high", "like", "text"),
    [
        (6.6, 7.7, 7.1, "6.60–7.70"),
        (26595.0, 29991.0, 28293.0, "26,595–29,991"),
        (-0.4, -0.33, -0.35, "−0.400 to −0.330"),
        (100.2, 100.4, 100.3, "100.2–100.4"),
        (0.0, 0.5, 0.0, "0.000–0.500"),
        (1.0, math.inf, 2.0, "1.00–∞"),
        (None, 7.0, 7.0, ""),
        (math.nan, 7.0, 7.0, ""),
    ],
)
def test_an_interval_has_the_digits_of_its_number(
    low: float | None, high: float | None, like: float, text: str
) -> None:
    assert interval(low, high, like) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1.0, "100 %"),
        (0.0, "0 %"),
        (0.5, "50 %"),
        (0.9987, "99.87 %"),
        (0.999999, "99.9999 %"),
        (0.99999999, "> 99.9999 %"),
        (1e-9, "< 0.0001 %"),
        (0.00001, "0.001 %"),
        (math.nan, "—"),
    ],
)
def test_only_all_is_100_percent_and_only_nothing_is_0(share: float, text: str) -> None:
    assert percent(share) == text


def test_units_fit_the_size() -> None:
    assert [latency(ms) for ms in (0.08, 0.16, 12.0, 1200.0)] == [
        "80.0 µs",
        "0.160 ms",
        "12.0 ms",
        "1.20 s",
    ]
    assert [duration(s) for s in (0.4, 59.0, 75.2)] == ["0.400 s", "59.0 s", "1 min 15 s"]
