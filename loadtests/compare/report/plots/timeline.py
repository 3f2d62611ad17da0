"""Runs of Locust, second by second."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from loadtests.compare.report.numerals import number
from loadtests.compare.report.plots.axis import End, below, from_zero, labels, rules
from loadtests.compare.report.plots.drawing import Plot, canvas, heading, plot, styles
from loadtests.compare.results import LocustRun, Tick, figure_id


def timelines(runs: Sequence[LocustRun]) -> list[Plot]:
    """Requests per second, and the 95th percentile of the latency, over time."""
    return [
        drawn
        for drawn in (
            _timeline(runs, "Requests per second", "requests/s", lambda t: t.requests_per_s),
            _timeline(runs, "95th percentile of the latency", "ms", lambda t: t.p95),
        )
        if drawn is not None
    ]


def _timeline(
    runs: Sequence[LocustRun], title: str, unit: str, pick: Callable[[Tick], float | None]
) -> Plot | None:
    looks = styles([run.backend for run in runs], [bool(run.stand_in) for run in runs])
    series = {run.backend: _spots(run, pick) for run in runs}
    series = {name: spots for name, spots in series.items() if spots}
    if not series:
        return None
    with canvas() as axes:
        from_zero(axes, "x", [x for spots in series.values() for x, _ in spots])
        from_zero(axes, "y", [y for spots in series.values() for _, y in spots])
        for name, spots in series.items():
            style = looks[name]
            axes.plot(
                [x for x, _ in spots],
                [y for _, y in spots],
                color=style.colour,
                dashes=style.dashes or (None, None),
                marker=style.marker,
                markersize=4,
                markevery=max(1, len(spots) // 8),
                markerfacecolor=style.face,
                markeredgecolor=style.colour,
            )
        rules(axes)
        heading(axes, unit)
        below(axes, "seconds")
        labels(axes, [End(*spots[-1], looks[name]) for name, spots in series.items()])
        return plot(
            axes,
            name=figure_id("plot", "locust", unit),
            title=title,
            words=f"{title} over time. "
            + " ".join(
                f"{name}: {number(min(y for _, y in s))} to {number(max(y for _, y in s))} {unit}."
                for name, s in series.items()
            ),
        )


def _spots(run: LocustRun, pick: Callable[[Tick], float | None]) -> list[tuple[float, float]]:
    found = ((tick.at_s, pick(tick)) for tick in run.history)
    return [(x, y) for x, y in found if y is not None and math.isfinite(x) and math.isfinite(y)]
