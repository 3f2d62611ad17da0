"""How numbers are written: about three significant digits, thousands separated, units spelled."""

from __future__ import annotations

import math

#: Written for a number that is not there.
NOTHING = "—"
#: From here down to powers of ten.
_SMALL = 1e-4
#: A factor of figures that are shares of one and shown in percent.
_PERCENT = 100.0


def number(value: float | None) -> str:
    """``28,293`` · ``16.7`` · ``1.05`` · ``0.0412`` · ``3.81e-06``; an en-dash-wide minus sign."""
    if value is None or math.isnan(value):
        return NOTHING
    return _written(value, _decimals(value))


def interval(low: float | None, high: float | None, like: float | None = None) -> str:
    """``6.6–7.7``, with as many decimals as ``like`` has; empty where a bound is missing."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    decimals = _decimals(like if like and math.isfinite(like) else max(abs(low), abs(high)))
    if decimals is not None and decimals <= 3 and low != high:
        # Bounds closer together than the last digit would look like one number twice.
        while decimals < 6 and _written(low, decimals) == _written(high, decimals):
            decimals += 1
    between = " to " if low < 0 else "–"
    return f"{_written(low, decimals)}{between}{_written(high, decimals)}"


def percent(share: float | None) -> str:
    """``0.9987`` as ``99.87 %``: only all is 100 %, and only nothing is 0 %."""
    if share is None or math.isnan(share):
        return NOTHING
    value = share * _PERCENT
    for decimals in (0, 1, 2, 3, 4):
        text = f"{value:.{decimals}f}"
        if float(text) == value or (decimals >= 2 and 0 < float(text) < _PERCENT):
            return f"{text} %"
    return f"{'> 99.9999' if value > 50 else '< 0.0001'} %"


def latency(milliseconds: float | None) -> str:
    """``0.08`` as ``80.0 µs``, ``1200`` as ``1.20 s``."""
    return _scaled(milliseconds, ((1000.0, 1e-3, "s"), (0.1, 1.0, "ms"), (0.0, 1e3, "µs")))


def duration(seconds: float) -> str:
    """``75`` as ``1 min 15 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{number(seconds)} s"


def _scaled(value: float | None, scales: tuple[tuple[float, float, str], ...]) -> str:
    if value is None or not math.isfinite(value):
        return number(value)
    for least, factor, unit in scales:
        if abs(value) >= least:
            return f"{number(value * factor)} {unit}"
    raise AssertionError("the last scale begins at 0")


def _decimals(value: float) -> int | None:
    """How many decimals a number of this size gets; None: powers of ten."""
    magnitude = abs(value)
    if magnitude == 0 or not math.isfinite(value):
        return 0
    if magnitude < _SMALL:
        return None
    return max(0, 2 - math.floor(math.log10(magnitude)))


def _written(value: float, decimals: int | None) -> str:
    if math.isinf(value):
        text = "∞"
    elif decimals is None:
        text = f"{abs(value):.2e}" if value else "0"
    else:
        text = f"{abs(value):,.{decimals}f}"
    return f"−{text}" if value < 0 and text.strip("0.,") else text
