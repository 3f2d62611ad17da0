"""From the entries of two contestants to a row of the table of targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from loadtests.bench.report import Entry, Finding, Target
from loadtests.bench.samples import differences, ratios
from serving.spread import Spread

Measure = Callable[[Entry], list[float]]
Combine = Callable[[Iterable[float], Iterable[float]], list[float]]

REQUESTS: Measure = lambda entry: entry.requests_per_s  # noqa: E731
ROWS: Measure = lambda entry: entry.rows_per_s  # noqa: E731
P50: Measure = lambda entry: entry.p50_ms  # noqa: E731
CPU: Measure = lambda entry: entry.cpu_ms  # noqa: E731

#: Units of the measures, for the tables.
UNITS = {REQUESTS: "requests/s", ROWS: "rows/s", P50: "ms p50", CPU: "ms CPU"}


def best(entries: Sequence[Entry]) -> Entry | None:
    """The entry with the most requests per second; None of none."""
    return max(entries, key=lambda entry: Spread.of(entry.requests_per_s).median, default=None)


def compare(
    what: str,
    scenario: str,
    ours: Entry | None,
    theirs: Entry | None,
    target: Target | None,
    measure: Measure = REQUESTS,
    combine: Combine = ratios,
    remark: str = "",
) -> Finding:
    """Ours against theirs, round by round; a row without a figure where one was not measured."""
    missing = "not measured" if ours is None or theirs is None else ""
    figure = None
    if ours is not None and theirs is not None:
        figure = Spread.of(combine(measure(ours), measure(theirs)))
    return Finding(
        scenario=scenario,
        what=what,
        target=target,
        figure=figure,
        unit=UNITS[measure],
        ours=None if ours is None else Spread.of(measure(ours)),
        theirs=None if theirs is None else Spread.of(measure(theirs)),
        opponent="" if theirs is None else theirs.contestant,
        errors=0 if ours is None else ours.errors,
        remark="; ".join(filter(None, [remark, missing])),
    )


def added(
    what: str, scenario: str, ours: Entry | None, theirs: Entry | None, target: Target
) -> Finding:
    """The median latency that ours has beyond theirs."""
    return compare(what, scenario, ours, theirs, target, P50, differences)
