"""Numbers and loads in words, as the sentences of advice have them."""

from __future__ import annotations

import math
from collections.abc import Callable

from loadtests.compare.results import Figure, Shape


def number(value: float) -> str:
    """With as many digits as a reader can use: two or three significant ones, thousands separated.

    29527.4 → 29,527; 42.31 → 42; 7.08 → 7.1; 1.043 → 1.04; 0.0352 → 0.035; 3.81e-06 → 3.8e-06.
    """
    size = abs(value)
    if not math.isfinite(value) or size == 0:
        return f"{value:g}"
    if size >= 99.5:
        return f"{value:,.0f}"
    if size < 0.001:
        return f"{value:.1e}"
    # Between 1 and 2, where ratios near 1 are told apart, one digit more.
    digits = 3 if 1 <= size < 2 else 2
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:.{max(0, digits - 1 - math.floor(math.log10(abs(rounded))))}f}"


def percent(share: float) -> str:
    """A share of 0–1 without its sign ``%``: 100 and 0 only where it is exactly that.

    0.5 → 50; 0.123 → 12.3; 0.99987 → 99.987.
    """
    nearest = min(share, 1 - share)
    if nearest <= 0:
        return f"{100 * share:g}"
    decimals = max(1, 1 - math.floor(math.log10(100 * nearest)))
    return f"{100 * share:.{decimals}f}".rstrip("0").rstrip(".")


def interval(figure: Figure) -> str:
    """The value and its interval, where there is one: ``7.1 (6.6–7.7)``; — without a value."""
    return _with_interval(figure, number)


def amount(figure: Figure) -> str:
    """The same with the unit behind it: ``42 (39–46) ms``."""
    return f"{interval(figure)} {figure.unit}".rstrip()


def share(figure: Figure) -> str:
    """A share of 0–1, or one that is in ``%`` already, in percent: ``12.3 (10.1–14.8) %``."""
    scale = 0.01 if figure.unit == "%" else 1.0
    return f"{_with_interval(figure, lambda value: percent(value * scale))} %"


def load(shape: Shape, connections: int, rate: float | None, rows: int) -> str:
    """What was asked of a subject: ``with 64 clients``, ``at 500 requests per second``."""
    if shape == "batch":
        return f"with {rows:,} rows in each request"
    if shape == "open":
        return f"at {rate or 0:,g} requests per second"
    return "with one client" if connections == 1 else f"with {connections:,} clients"


def _with_interval(figure: Figure, words: Callable[[float], str]) -> str:
    if figure.value is None:
        return "—"
    if figure.low is None or figure.high is None:
        return words(figure.value)
    to = " to " if figure.low < 0 else "–"
    return f"{words(figure.value)} ({words(figure.low)}{to}{words(figure.high)})"
