"""One subject against another under the same load, round by round."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from loadtests.compare.results import Contrast, Figure, Point, Round, Shape, Subject, figure_id
from loadtests.compare.statistics import Interval, difference, ratio
from loadtests.compare.words import load as load_words

#: What makes two points comparable: shape, connections, rate, rows.
Load = tuple[Shape, int, float | None, int]


@dataclass(frozen=True, slots=True)
class Measure:
    """Something a round has a value of. ``of`` gives it, None where nothing was answered."""

    name: str
    unit: str
    better: Literal["higher", "lower"]
    of: Callable[[Point, Round], float | None]
    figure: Callable[[Point], Figure]


_REQUESTS = Measure(
    "requests_per_s",
    "requests/s",
    "higher",
    lambda _, one: one.requests_per_s,
    lambda point: point.requests_per_s,
)
_ROWS = Measure(
    "rows_per_s",
    "rows/s",
    "higher",
    lambda point, one: one.requests_per_s * point.rows,
    lambda point: point.requests_per_s,
)
_P50 = Measure("p50", "ms", "lower", lambda _, one: one.p50, lambda point: point.p50)
_P99 = Measure("p99", "ms", "lower", lambda _, one: one.p99, lambda point: point.p99)

#: What is compared, by the load's shape. An open loop is answered at the rate it is asked.
MEASURES: Mapping[Shape, tuple[Measure, ...]] = {
    "closed": (_REQUESTS, _P50, _P99),
    "open": (_P50, _P99),
    "batch": (_ROWS, _P50, _P99),
}


def contrasts(points: Iterable[Point], pairs: Iterable[tuple[Subject, Subject]]) -> list[Contrast]:
    """Each pair's candidate, the first, against its reference under every load both were under.

    Measures are those of :data:`MEASURES`: ``requests_per_s``, ``p50``, ``p99``, for bodies of many
    rows ``rows_per_s`` in place of the first. Ratios are geometric means over the rounds and
    differences their means, both paired by round with 95 % intervals; see
    :mod:`loadtests.compare.statistics`. A round without an answer leaves the figures without a
    value. In the order of the pairs, then of the points.
    """
    measured = by_load(points)
    return [
        _contrast(candidate, reference, ours, theirs, measure)
        for candidate, reference in pairs
        for load, ours in measured.get(candidate.name, {}).items()
        if (theirs := measured.get(reference.name, {}).get(load)) is not None
        for measure in MEASURES[ours.shape]
    ]


def by_load(points: Iterable[Point]) -> dict[str, dict[Load, Point]]:
    """The points by subject and load."""
    found: dict[str, dict[Load, Point]] = {}
    for point in points:
        found.setdefault(point.subject, {})[load_of(point)] = point
    return found


def load_of(one: Point | Contrast) -> Load:
    """The load of a point or a contrast."""
    return one.shape, one.connections, one.rate, one.rows


def measure_of(contrast: Contrast) -> Measure:
    """What the contrast compares; raises KeyError for what is never compared."""
    return {measure.name: measure for measure in MEASURES[contrast.shape]}[contrast.measure]


def rounds(point: Point, measure: Measure) -> list[float | None]:
    """The measure round by round, None where nothing was answered."""
    return [measure.of(point, one) if one.answered else None for one in point.rounds]


def _contrast(
    candidate: Subject, reference: Subject, ours: Point, theirs: Point, measure: Measure
) -> Contrast:
    sides = rounds(ours, measure), rounds(theirs, measure)
    stand_ins = [candidate.stand_in, reference.stand_in]
    stand_ins += [measure.figure(point).stand_in for point in (ours, theirs)]
    stand_in = ", ".join(dict.fromkeys(filter(None, stand_ins))) or None

    def figure(kind: str, sign: str, unit: str, found: Interval, remarks: Sequence[str]) -> Figure:
        asked = f"r{ours.rate:g}" if ours.rate is not None else f"c{ours.connections}"
        parts = (ours.shape, asked, f"n{ours.rows}", candidate.name, "vs", reference.name)
        return Figure(
            id=figure_id("contrast", *parts, measure.name, kind),
            what=f"{measure.name} {load_words(*load_of(ours))}: "
            f"{candidate.name} {sign} {reference.name}",
            value=found.value,
            unit=unit,
            low=found.low,
            high=found.high,
            stand_in=stand_in,
            remark="; ".join(filter(None, [found.remark, *remarks])),
        )

    limited = [
        f"the load generator was the limit of {point.subject}"
        for point in (ours, theirs)
        if point.driver_limited
    ]
    return Contrast(
        candidate=candidate.name,
        reference=reference.name,
        shape=ours.shape,
        connections=ours.connections,
        rate=ours.rate,
        rows=ours.rows,
        measure=measure.name,
        better=measure.better,
        ratio=figure("ratio", "÷", "×", ratio(*sides), limited),
        difference=figure("difference", "−", measure.unit, difference(*sides), limited),
    )
