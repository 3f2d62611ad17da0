"""Which differences in cost the data decides: memory, CPU time, installation, cold start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from loadtests.compare.advice.cases import Case, server_of
from loadtests.compare.advice.speeds import MARGIN, sound
from loadtests.compare.results import Figure, Results

What = Literal["memory", "cpu", "first", "install"]

#: What is seen once or a few times, such as memory or starts, must differ by more: of three starts
#: each, all those of one server are longer than all of the other in 1 of 10 comparisons of equals.
FEW_MARGIN = 1.5
#: Measured round by round, with a confidence interval.
_BY_ROUND: frozenset[What] = frozenset({"cpu"})
#: Counted, not measured: the same however often one looks.
_EXACT: frozenset[What] = frozenset({"install"})


@dataclass(frozen=True, slots=True)
class Cost:
    """A difference that was decided; less is better."""

    what: What
    candidate: Figure
    reference: Figure
    favours: bool


def decided_costs(case: Case, results: Results) -> list[Cost]:
    """What differs by more than 10 %, the intervals or spreads of both included.

    Memory and starts, which are looked at a few times only, and CPU time without an interval must
    differ by 50 % besides. Nothing is said where a figure is
    missing or has a stand-in in it, nor of servers where the candidate needs two of them, its own
    and the gateway: no one figure is what it takes. Of the original its own server is taken alone.
    """
    return [
        Cost(what, ours, theirs, favours)
        for what, (ours, theirs) in _pairs(case, results)
        if ours.id != theirs.id and sound(ours) and sound(theirs)
        for favours, less, more in ((True, ours, theirs), (False, theirs, ours))
        if _apart(what, less, more)
    ]


def _pairs(case: Case, results: Results) -> Iterator[tuple[What, tuple[Figure, Figure]]]:
    usage: Mapping[str, Figure] = {one.subject: one.cpu for one in results.usage}
    original = usage.get(case.today.name, usage.get(case.original.name))
    if case.candidate.name in usage and original is not None:
        yield "cpu", (usage[case.candidate.name], original)
    if case.candidate.server is not None:
        return
    ours, theirs = server_of(case.candidate, results), server_of(case.today, results)
    if ours is None or theirs is None:
        return
    yield "memory", (ours.memory_loaded, theirs.memory_loaded)
    yield "first", (ours.first_prediction, theirs.first_prediction)
    yield "install", (ours.install, theirs.install)


def _apart(what: What, less: Figure, more: Figure) -> bool:
    upper, lower = (_or(less.high, less.value), _or(more.low, more.value))
    if upper * MARGIN >= lower:
        return False
    spread = less.high is not None and more.low is not None
    if what in _EXACT or (what in _BY_ROUND and spread):
        return True
    return _or(less.value) * FEW_MARGIN < _or(more.value)


def _or(*values: float | None) -> float:
    """The first there is; what comes here is :func:`sound`, so there is one."""
    return next(value for value in values if value is not None)
