"""Throughput: by number of clients, by size of the body, and against latency by offered rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from matplotlib.axes import Axes

from loadtests.compare.report.names import measure
from loadtests.compare.report.numerals import latency, number
from loadtests.compare.report.plots.axis import (
    End,
    below,
    from_zero,
    labels,
    loads,
    logarithmic,
    rules,
)
from loadtests.compare.report.plots.drawing import MUTED, Plot, Style, canvas, heading, plot
from loadtests.compare.results import Figure, Point, figure_id

Styles = Mapping[str, Style]
_Spot = tuple[float, float, Point]


def by_clients(points: Sequence[Point], styles: Styles) -> Plot | None:
    """Requests per second over the number of clients."""
    chosen = _series(points, "closed", styles, lambda p: (p.connections, p.requests_per_s.value))
    return _growth(chosen, styles, "clients", "requests/s", "Requests per second by clients")


def by_rows(points: Sequence[Point], styles: Styles) -> Plot | None:
    """Rows per second over the rows in a body."""

    def spot(point: Point) -> tuple[float, float | None]:
        value = point.requests_per_s.value
        return point.rows, None if value is None else value * point.rows

    chosen = _series(points, "batch", styles, spot)
    return _growth(chosen, styles, "rows a body", "rows/s", "Rows per second by rows a body")


def against_latency(
    points: Sequence[Point], styles: Styles, percentile: Literal["p50", "p99"]
) -> Plot | None:
    """A latency over the requests answered per second, a mark for each offered rate."""

    def figure(point: Point) -> Figure:
        return point.p50 if percentile == "p50" else point.p99

    chosen = _series(
        points,
        "open",
        styles,
        lambda point: (point.requests_per_s.value or math.nan, figure(point).value),
        by=lambda point: point.rate or 0,
    )
    if not chosen:
        return None
    everything = [
        (at.rate or 0, at.requests_per_s.value or 0, f)
        for at in points
        if at.shape == "open" and at.subject in styles
        for f in _bounds(figure(at))
    ]
    name = measure(percentile)
    with canvas() as axes:
        logarithmic(axes, "x", [x for _, x, _ in everything])
        logarithmic(axes, "y", [y for _, _, y in everything])
        for subject, spots in chosen.items():
            _line(axes, styles[subject], spots, figure)
        _finish(axes, chosen, styles, f"{name}, ms", "requests/s answered")
        return plot(
            axes,
            name=figure_id("plot", "open", percentile),
            title=f"{name} against throughput",
            words=f"{name} by requests per second answered. "
            + _words(chosen, lambda x, y: f"{latency(y)} at {number(x)}/s"),
        )


def _growth(
    chosen: dict[str, list[_Spot]], styles: Styles, unit: str, measured: str, title: str
) -> Plot | None:
    if not chosen:
        return None
    with canvas() as axes:
        loads(axes, [x for spots in chosen.values() for x, _, _ in spots])
        highest = [
            bound * (y / value if (value := point.requests_per_s.value) else 1)
            for spots in chosen.values()
            for _, y, point in spots
            for bound in _bounds(point.requests_per_s)
        ]
        from_zero(axes, "y", highest)
        for subject, spots in chosen.items():
            _line(axes, styles[subject], spots, lambda point: point.requests_per_s)
            for x, y, point in spots:
                if point.driver_limited:
                    axes.annotate(
                        "≥",
                        (x, y),
                        xytext=(-6, 4),
                        textcoords="offset points",
                        ha="right",
                        color=MUTED,
                    )
        _finish(axes, chosen, styles, measured, unit)
        return plot(
            axes,
            name=figure_id("plot", title),
            title=title,
            note="≥: the load generator was the limit."
            if any(p.driver_limited for spots in chosen.values() for _, _, p in spots)
            else "",
            words=f"{title}. " + _words(chosen, lambda x, y: f"{number(y)} with {x:,.0f}"),
        )


def _line(axes: Axes, style: Style, spots: list[_Spot], figure: Callable[[Point], Figure]) -> None:
    x = [spot[0] for spot in spots]
    y = [spot[1] for spot in spots]
    below_, above = [], []
    for _, value, point in spots:
        shown = figure(point)
        factor = value / shown.value if shown.value else 1.0
        low, high = (shown.low, shown.high) if _whole(shown) else (shown.value, shown.value)
        below_.append(max(0.0, value - (low or 0) * factor))
        above.append(max(0.0, (high or 0) * factor - value))
    axes.errorbar(
        x,
        y,
        yerr=(below_, above),
        color=style.colour,
        elinewidth=1,
        dashes=style.dashes or (None, None),
        marker=style.marker,
        markerfacecolor=style.face,
        markeredgecolor=style.colour,
    )


def _finish(
    axes: Axes, chosen: dict[str, list[_Spot]], styles: Styles, measured: str, unit: str
) -> None:
    rules(axes)
    heading(axes, measured)
    below(axes, unit)
    labels(axes, [End(s[-1][0], s[-1][1], styles[name]) for name, s in chosen.items()])


def _series(
    points: Sequence[Point],
    shape: str,
    styles: Styles,
    spot: Callable[[Point], tuple[float, float | None]],
    by: Callable[[Point], float] | None = None,
) -> dict[str, list[_Spot]]:
    """By subject: x, y and the point itself, from light load to heavy."""
    found: dict[str, list[_Spot]] = {}
    for point in sorted(points, key=by) if by is not None else points:
        if point.shape != shape or point.subject not in styles:
            continue
        x, y = spot(point)
        if y is not None and math.isfinite(x) and math.isfinite(y) and x > 0:
            found.setdefault(point.subject, []).append((x, y, point))
    return found if by is not None else {n: sorted(s, key=lambda t: t[0]) for n, s in found.items()}


def _whole(figure: Figure) -> bool:
    """Whether it has an interval that can be drawn."""
    return all(v is not None and math.isfinite(v) for v in (figure.low, figure.high))


def _bounds(figure: Figure) -> list[float]:
    values = (figure.low, figure.value, figure.high)
    return [value for value in values if value is not None and math.isfinite(value)]


def _words(chosen: dict[str, list[_Spot]], say: Callable[[float, float], str]) -> str:
    return " ".join(
        f"{subject}: {', '.join(say(x, y) for x, y, _ in spots)}."
        for subject, spots in chosen.items()
    )
