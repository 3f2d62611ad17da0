"""Bars: memory of the servers, CPU time of the subjects."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from matplotlib.axes import Axes

from loadtests.compare.report.numerals import number
from loadtests.compare.report.plots.axis import from_zero
from loadtests.compare.report.plots.drawing import (
    INK,
    WIDTH,
    Plot,
    canvas,
    plot,
    styles,
)
from loadtests.compare.results import Figure, Results, figure_id

#: In px: a bar, and a row of them beside its name.
_BAR, _ROW = 13.0, 44.0
_NAMES, _NUMBERS, _EDGE = 128.0, 104.0, 4.0


class Bar(msgspec.Struct, frozen=True):
    """``light`` bars are drawn pale."""

    name: str
    figure: Figure
    light: bool = False


def memory(results: Results) -> Plot | None:
    """Resident memory of each server, idle and under load."""
    rows = [
        (
            server.name,
            bool(server.stand_in),
            [
                Bar("idle", server.memory_idle, light=True),
                Bar("under load", server.memory_loaded),
            ],
        )
        for server in results.servers
    ]
    return _bars(rows, "Memory", "MB", "memory")


def cpu(results: Results) -> Plot | None:
    """CPU time of 1,000 predictions, by subject."""
    stand_ins = {subject.name: bool(subject.stand_in) for subject in results.subjects}
    rows = [
        (one.subject, stand_ins.get(one.subject, False), [Bar("", one.cpu)])
        for one in results.usage
    ]
    return _bars(rows, "CPU time of 1,000 predictions", "s", "cpu")


def _bars(
    rows: Sequence[tuple[str, bool, list[Bar]]], title: str, unit: str, name: str
) -> Plot | None:
    drawn = [
        (label, stand_in, [bar for bar in bars if _number(bar.figure.value) is not None])
        for label, stand_in, bars in rows
    ]
    drawn = [row for row in drawn if row[2]]
    if not drawn:
        return None
    looks = styles([label for label, _, _ in drawn], [stand_in for _, stand_in, _ in drawn])
    with canvas(
        _ROW * len(drawn) + 2 * _EDGE, left=_NAMES, right=_NUMBERS, top=_EDGE, bottom=_EDGE
    ) as axes:
        values = [v for _, _, bars in drawn for bar in bars for v in _all(bar.figure)]
        from_zero(axes, "x", values)
        axes.set_ylim(_ROW * len(drawn), 0)
        axes.set_yticks(
            [_ROW * (i + 0.5) for i in range(len(drawn))],
            [looks[label].label for label, _, _ in drawn],
            color=INK,
        )
        for i, (_, stand_in, bars) in enumerate(drawn):
            for k, bar in enumerate(bars):
                middle = _ROW * (i + 0.5) + (k - (len(bars) - 1) / 2) * (_BAR + 3)
                _bar(axes, bar, middle, stand_in, unit)
        axes.set_xticks([])
        for side in ("bottom", "left"):
            axes.spines[side].set_visible(False)
        return plot(
            axes,
            name=figure_id("plot", name),
            title=title,
            note=_note(drawn),
            words=f"{title}. " + " ".join(_words(label, bars, unit) for label, _, bars in drawn),
        )


def _bar(axes: Axes, bar: Bar, middle: float, stand_in: bool, unit: str) -> None:
    value = _number(bar.figure.value)
    assert value is not None
    colour = styles(["bar"], [False])["bar"].colour
    axes.barh(
        middle,
        value,
        height=_BAR,
        facecolor="none" if stand_in else colour,
        alpha=0.45 if bar.light else 1,
        edgecolor=colour,
        linestyle=(0, (3, 2)) if stand_in else "solid",
        linewidth=1,
    )
    low, high = _number(bar.figure.low), _number(bar.figure.high)
    end = value
    if low is not None and high is not None and high > low:
        axes.plot([low, high], [middle, middle], color=INK, linewidth=1, solid_capstyle="butt")
        end = max(end, high)
    room = axes.get_xlim()[1] / (WIDTH - _NAMES - _NUMBERS)
    text = f"{number(value)} {unit}" + (f" {bar.name}" if bar.name else "")
    axes.text(end + 5 * room, middle, text, va="center", ha="left", color=INK, fontsize=9.5)


def _note(drawn: Sequence[tuple[str, bool, list[Bar]]]) -> str:
    return "Dashed outline: a stand-in." if any(stand_in for _, stand_in, _ in drawn) else ""


def _words(label: str, bars: list[Bar], unit: str) -> str:
    said = ", ".join(f"{number(bar.figure.value)} {unit} {bar.name}".strip() for bar in bars)
    return f"{label}: {said}."


def _all(figure: Figure) -> list[float]:
    found = (_number(value) for value in (figure.value, figure.high))
    return [value for value in found if value is not None]


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
