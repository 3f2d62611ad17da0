"""Scales, ticks and labels that the plots have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator

from loadtests.compare.report.plots.drawing import FONT, HEIGHT, MUTED, Style

#: More ticks than these are not written.
_TICKS = 7
#: Between labels at the end of lines, in px.
_LINE, _GAP = 11.0, 3.0


class End(msgspec.Struct, frozen=True):
    """Where a series ends: its label stands beside it, outside the axes."""

    x: float
    y: float
    style: Style


def tick(value: float) -> str:
    """``0.05`` · ``20`` · ``10,000`` · ``200k`` · ``1e-06``."""
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.0e}"
    if abs(value) >= 1e5:
        return f"{value / 1000:,.3f}".rstrip("0").rstrip(".") + "k"
    return f"{value:,.10f}".rstrip("0").rstrip(".")


def logarithmic(axes: Axes, which: Literal["x", "y"], values: Iterable[float]) -> None:
    """A logarithmic axis over these values, from one round number to another."""
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    low, high = (min(positive), max(positive)) if positive else (1.0, 10.0)
    steps = _steps(low, high)
    if len(steps) > _TICKS:
        tens = [step for step in steps if _is_ten(step)]
        shown = tens[:: math.ceil(len(tens) / _TICKS)]
    else:
        shown = steps
    # A little more than the round numbers, or marks at the ends would be cut.
    pad = (steps[-1] / steps[0]) ** 0.02
    if which == "x":
        axes.set_xscale("log")
        axes.set_xlim(steps[0] / pad, steps[-1] * pad)
        _ticks(axes.xaxis, shown)
    else:
        axes.set_yscale("log")
        axes.set_ylim(steps[0] / pad, steps[-1] * pad)
        _ticks(axes.yaxis, shown)


def from_zero(axes: Axes, which: Literal["x", "y"], values: Iterable[float]) -> None:
    """A linear axis from 0 to a little over the largest value."""
    top = max((value for value in values if math.isfinite(value)), default=0.0)
    limit = top * 1.08 if top > 0 else 1.0
    shown = [
        at for at in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(0, limit) if 0 <= at <= limit
    ]
    if which == "x":
        axes.set_xlim(0, limit)
        _ticks(axes.xaxis, shown)
    else:
        axes.set_ylim(0, limit)
        _ticks(axes.yaxis, shown)


def loads(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic x axis with a tick at each of the loads that were measured."""
    ordered = sorted(set(values))
    axes.set_xscale("log")
    span = ordered[-1] / ordered[0] if ordered[0] else 1.0
    pad = span**0.05 if span > 1 else 1.5
    axes.set_xlim(ordered[0] / pad, ordered[-1] * pad)
    shown: list[float] = []
    for value in ordered:
        if not shown or math.log(value / shown[-1]) > 0.09 * math.log(max(span, 2)):
            shown.append(value)
    _ticks(axes.xaxis, shown)


def rules(axes: Axes, which: Literal["x", "y"] = "y") -> None:
    """Thin lines across at the ticks, and no line along the axis they start from."""
    axes.grid(axis=which)
    axes.spines["left" if which == "y" else "bottom"].set_visible(False)


def below(axes: Axes, text: str) -> None:
    """What the x axis measures."""
    axes.set_xlabel(text, loc="left", fontsize=FONT, color=MUTED, labelpad=4)


def labels(axes: Axes, ends: Sequence[End], height: float = HEIGHT) -> None:
    """Write each series' name beside its end, none over another."""
    if not ends:
        return
    box = axes.get_position()
    pixels = box.height * height
    low, high = axes.transAxes.inverted(), axes.transData
    ordered = sorted(ends, key=lambda end: end.y)
    centres = [float(low.transform(high.transform((end.x, end.y)))[1]) * pixels for end in ordered]
    heights = [_LINE * (end.style.label.count("\n") + 1) + _GAP for end in ordered]
    for end, centre in zip(ordered, _apart(centres, heights, pixels), strict=True):
        axes.annotate(
            end.style.label,
            xy=(end.x, end.y),
            xytext=(1.04, centre / pixels),
            textcoords="axes fraction",
            color=end.style.colour,
            fontsize=FONT - 0.5,
            ha="left",
            va="center",
            linespacing=1.1,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": end.style.colour,
                "linewidth": 0.6,
                "shrinkA": 1,
                "shrinkB": 3,
                "relpos": (0, 0.5),
            },
        )


def _apart(centres: list[float], heights: list[float], room: float) -> list[float]:
    """The centres moved as little as keeps boxes of these heights apart, within the room."""
    placed: list[float] = []
    for centre, size in zip(centres, heights, strict=True):
        least = placed[-1] + (heights[len(placed) - 1] + size) / 2 if placed else size / 2
        placed.append(max(centre, least))
    # What was pushed out at the top pushes the others down again.
    most = room
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], most - heights[i] / 2)
        most = placed[i] - heights[i] / 2
    return placed


def _ticks(axis: Axis, values: Sequence[float]) -> None:
    axis.set_major_locator(FixedLocator(list(values)))
    axis.set_major_formatter(FixedFormatter([tick(value) for value in values]))
    axis.set_minor_locator(FixedLocator([]))


def _steps(low: float, high: float) -> list[float]:
    """1, 2, 5, 10 … from at or below the lowest value to at or above the highest."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    series = [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]
    first = max(i for i, step in enumerate(series) if step <= low * (1 + 1e-9))
    last = min(i for i, step in enumerate(series) if step >= high * (1 - 1e-9))
    return series[first : max(last, first + 1) + 1]


def _is_ten(step: float) -> bool:
    power = math.log10(step)
    return abs(power - round(power)) < 1e-9
