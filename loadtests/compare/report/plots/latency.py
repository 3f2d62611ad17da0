"""Latency distributions: how long which share of the requests took."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby

from matplotlib.axes import Axes

from loadtests.compare.report.names import load, order
from loadtests.compare.report.numerals import latency
from loadtests.compare.report.plots.axis import End, below, labels, logarithmic, rules
from loadtests.compare.report.plots.drawing import Plot, Style, canvas, heading, plot
from loadtests.compare.results import Point, Shape, figure_id

#: Shares with a tick of their own; the axis gives each further nine of them the same room.
_SHARES = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999)


def distributions(points: Sequence[Point], shape: Shape, styles: Mapping[str, Style]) -> list[Plot]:
    """A plot for each load of the shape, all over the same range of latencies."""
    chosen = [p for p in points if p.shape == shape and p.subject in styles and _curve(p)]
    chosen.sort(key=order)
    range_ms = [ms for point in chosen for _, ms in _curve(point)]
    return [
        _distribution(list(same), shape, styles, range_ms) for _, same in groupby(chosen, key=order)
    ]


def _distribution(
    points: list[Point], shape: Shape, styles: Mapping[str, Style], range_ms: list[float]
) -> Plot:
    title = load(points[0])
    ends = []
    last = 1.0
    with canvas() as axes:
        logarithmic(axes, "y", range_ms)
        for point in points:
            style = styles[point.subject]
            curve = _curve(point)
            x = [_nines(share) for share, _ in curve]
            y = [ms for _, ms in curve]
            axes.plot(x, y, color=style.colour, dashes=style.dashes or (None, None))
            _markers(point, style, axes)
            ends.append(End(x[-1], y[-1], style))
            last = max(last, x[-1])
        shown = [share for share in _SHARES[1:] if _nines(share) <= last + 1e-9]
        axes.set_xlim(0, last * 1.01)
        axes.set_xticks([_nines(s) for s in shown], [f"{100 * s:.10g} %" for s in shown])
        rules(axes)
        heading(axes, "ms")
        below(axes, "share of the requests answered within")
        labels(axes, ends)
        return plot(
            axes,
            name=figure_id("plot", "latency", shape, title),
            title=title,
            words=f"{title}. " + " ".join(map(_words, points)),
        )


def _markers(point: Point, style: Style, axes: Axes) -> None:
    """A mark at each percentile that the tables hold."""
    known = ((0.5, point.p50), (0.9, point.p90), (0.99, point.p99), (0.999, point.p999))
    limit = _curve(point)[-1][0]
    marks = [(s, f.value) for s, f in known if f.value is not None and s <= limit]
    axes.plot(
        [_nines(share) for share, _ in marks],
        [value for _, value in marks],
        linestyle="none",
        marker=style.marker,
        markerfacecolor=style.face,
        markeredgecolor=style.colour,
    )


def _curve(point: Point) -> list[tuple[float, float]]:
    """What can be drawn of it: as far as there are requests enough to tell the share."""
    answered = sum(one.answered for one in point.rounds)
    limit = min(_SHARES[-1], 1 - 1 / answered) if answered > 1 else _SHARES[-1]
    return [
        (share, ms)
        for share, ms in point.curve
        if 0 <= share <= limit + 1e-12 and ms > 0 and math.isfinite(ms)
    ]


def _nines(share: float) -> float:
    return -math.log10(1 - share)


def _words(point: Point) -> str:
    half, most = latency(point.p50.value), latency(point.p99.value)
    return f"{point.subject}: half within {half}, 99 % within {most}."
