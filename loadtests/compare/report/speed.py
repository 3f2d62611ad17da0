"""What the report says of speed: a table per shape of load, and one per pair of subjects."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

import msgspec

from loadtests.compare.report.names import load, measure, order, stand_ins
from loadtests.compare.report.numerals import NOTHING
from loadtests.compare.report.table import (
    Cell,
    Column,
    Group,
    Table,
    named,
    shown,
    shown_share,
    together,
    ungrouped,
    with_unit,
    words,
)
from loadtests.compare.results import Contrast, Figure, Point, Results, Shape

_CAPTIONS: dict[Shape, str] = {
    "closed": "Closed loop: each client sends its next request when it has its answer",
    "open": "Open loop: requests arrive at random times, whatever becomes of those before",
    "batch": "Batch bodies: one client, many rows in each body",
}
_LATENCIES = ("p50", "p90", "p99", "p99.9")
#: As many kinds of errors as are named in a cell.
_KINDS = 3


def points(results: Results, shape: Shape) -> Table:
    """All subjects under the loads of a shape, grouped by load."""
    throughput = "rows/s" if shape == "batch" else "requests/s"
    columns = [
        Column("asked", numeric=False),
        Column("answered " + throughput if shape == "open" else throughput),
        *(Column(name, "ms") for name in _LATENCIES),
        Column("errors"),
    ]
    chosen = sorted((p for p in results.points if p.shape == shape), key=order)
    subjects = stand_ins(results.subjects)
    groups = [
        Group(load(same[0]), [_point(point, subjects.get(point.subject)) for point in same])
        for same in (list(group) for _, group in groupby(chosen, key=order))
    ]
    return Table(caption=_CAPTIONS[shape], columns=columns, groups=groups)


def contrasts(results: Results) -> list[Table]:
    """A table for each pair: its ratios and differences, load by load."""
    pairs: dict[tuple[str, str], list[Contrast]] = {}
    for one in results.contrasts:
        pairs.setdefault((one.candidate, one.reference), []).append(one)
    return [_contrasts(pair, found) for pair, found in pairs.items()]


def reading(contrast: Contrast) -> str:
    """``better`` or ``worse``; empty where the interval of the ratio holds 1."""
    low, high = contrast.ratio.low, contrast.ratio.high
    # Written so that a bound that is no number decides nothing.
    if low is None or high is None or not (low > 1 or high < 1):
        return ""
    return "better" if (low > 1) == (contrast.better == "higher") else "worse"


def _contrasts(pair: tuple[str, str], found: list[Contrast]) -> Table:
    """A row for each load, a column for each measure."""
    candidate, reference = pair
    measures = list(dict.fromkeys(measure(one.measure) for one in found))
    columns = [Column("load", numeric=False), *(Column(name, "×") for name in measures)]
    rows = []
    for _, group in groupby(sorted(found, key=order), key=order):
        same = {measure(one.measure): one for one in group}
        first = next(iter(same.values()))
        row = [named(load(first), first.ratio.stand_in)]
        rows.append([*row, *(_contrast(same.get(name)) for name in measures)])
    return ungrouped(f"{candidate} against {reference}", columns, rows)


def _contrast(one: Contrast | None) -> Cell:
    if one is None:
        return words(NOTHING)
    difference = with_unit(
        shown(one.difference, "+" if _positive(one) else ""), one.difference.unit
    )
    ratio = shown(one.ratio)
    if difference.remark == ratio.remark:
        difference = msgspec.structs.replace(difference, remark="")
    if one.ratio.stand_in is None:
        ratio = msgspec.structs.replace(ratio, mark=reading(one))
    return together([ratio, difference])


def _positive(one: Contrast) -> bool:
    return one.difference.value is not None and one.difference.value > 0


def _point(point: Point, stand_in: str | None) -> list[Cell]:
    # What the load generator cannot drive harder is a bound, not a value.
    at_least, at_most = ("≥", "≤") if point.driver_limited else ("", "")
    rows = point.rows if point.shape == "batch" else 1
    latencies: list[Figure] = [point.p50, point.p90, point.p99, point.p999]
    return [
        named(point.subject, stand_in),
        shown(point.requests_per_s, at_least, rows),
        *(shown(figure, at_most) for figure in latencies),
        _errors(point),
    ]


def _errors(point: Point) -> Cell:
    kinds: Counter[str] = Counter()
    for one in point.rounds:
        kinds.update(one.errors)
    cell = shown_share(point.error_share)
    said = ", ".join(f"{count:,} × {kind}" for kind, count in kinds.most_common(_KINDS))
    if len(kinds) > _KINDS:
        said += f", {len(kinds) - _KINDS} more kinds"
    return msgspec.structs.replace(
        cell, between=cell.between if kinds else "", remark=said or cell.remark
    )
