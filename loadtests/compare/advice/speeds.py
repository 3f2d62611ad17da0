"""Which differences in speed the data decides.

A reader who looks at twenty intervals of 95 % finds on average one that misses, so what is decided
is decided at one level for all that is looked at in a lineage together, by Holm's method. What is
looked at is settled before anything is measured, in :data:`LOOKED_AT`: the fewer, the more can be
decided from few rounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from loadtests.compare.advice.cases import Case
from loadtests.compare.contrasts import Load, by_load, load_of, measure_of, rounds
from loadtests.compare.results import Contrast, Figure, Point, Results, Shape
from loadtests.compare.statistics import Trial, beyond, holm

#: Differences up to 10 % do not matter in practice: no reason to move a service, nor to stay.
MARGIN = 1.10
#: What is looked at, by the load's shape. The p50 of many clients in a closed loop says nothing
#: beside their requests/s, for the two multiply to their number (Little's law), nor does that of
#: bodies of many rows beside rows/s.
LOOKED_AT: Mapping[Shape, frozenset[str]] = {
    "closed": frozenset({"requests_per_s", "p99"}),
    "open": frozenset({"p50", "p99"}),
    "batch": frozenset({"rows_per_s"}),
}
#: For the same reason one client is looked at by what it waits for, not by requests/s.
OF_ONE_CLIENT = frozenset({"p50", "p99"})


@dataclass(frozen=True, slots=True)
class Speed:
    """A difference that was decided. ``aside``: the original was asked through the gateway too."""

    contrast: Contrast
    candidate: Point
    reference: Point
    favours: bool
    aside: bool

    @property
    def at_least(self) -> bool:
        """Whether the difference may be larger: the load generator held the better one back."""
        return (self.candidate if self.favours else self.reference).driver_limited

    @property
    def figures(self) -> list[Figure]:
        """The measure of both, and the ratio."""
        measure = measure_of(self.contrast)
        return [
            self.contrast.ratio,
            measure.figure(self.candidate),
            measure.figure(self.reference),
        ]


@dataclass(frozen=True, slots=True)
class Decided:
    """``looked_at`` counts the differences that could be tested against today's original.

    ``held_back``: something differs, but perhaps only because the load generator was the limit.
    """

    speeds: list[Speed]
    looked_at: int
    held_back: bool


@dataclass(frozen=True, slots=True)
class _Question:
    case: Case
    contrast: Contrast
    candidate: Point
    reference: Point
    trial: Trial
    aside: bool


def decide(cases: Iterable[Case], results: Results, unfit: Iterable[Point]) -> list[Decided]:
    """For each case, all of one lineage, what is decided; lightest load first.

    A difference is decided where the interval of the ratio lies wholly beyond :data:`MARGIN`, with
    a chance of at most 5 % that any decision of all cases is wrong. ``unfit`` are points whose
    latencies are not to be compared. Not looked at are figures with a stand-in or without a value,
    fewer than three rounds, and differences that the load generator may have made: it can hold a
    subject back, so a limited one is never called the worse.
    """
    known = by_load(results.points)
    shunned = {(point.subject, load_of(point)) for point in unfit}
    cases = list(cases)
    questions = [
        question for case in cases for question in _questions(case, results, known, shunned)
    ]
    rejected = holm([question.trial.p for question in questions])
    differing = [one for one, is_so in zip(questions, rejected, strict=True) if is_so]
    return [
        Decided(
            [
                _speed(one)
                for one in differing
                if one.case is case and not _worse(one).driver_limited
            ],
            sum(one.case is case and not one.aside for one in questions),
            any(one.case is case and _worse(one).driver_limited for one in differing),
        )
        for case in cases
    ]


def _questions(
    case: Case,
    results: Results,
    known: Mapping[str, Mapping[Load, Point]],
    shunned: set[tuple[str, Load]],
) -> Iterable[_Question]:
    aside = _aside(case, results)
    for contrast in results.contrasts:
        if contrast.candidate != case.candidate.name:
            continue
        main = contrast.reference == case.today.name and _is_looked_at(contrast)
        if not main and contrast is not aside:
            continue
        load = load_of(contrast)
        pair = [known.get(name, {}).get(load) for name in (contrast.candidate, contrast.reference)]
        ours, theirs = pair
        if ours is None or theirs is None or not sound(contrast.ratio):
            continue
        if not {(ours.subject, load), (theirs.subject, load)}.isdisjoint(shunned):
            continue
        measure = measure_of(contrast)
        trial = beyond(rounds(ours, measure), rounds(theirs, measure), MARGIN)
        if trial is not None:
            yield _Question(case, contrast, ours, theirs, trial, not main)


def _aside(case: Case, results: Results) -> Contrast | None:
    """The one thing looked at where the original, too, is asked through the gateway: capacity."""
    if case.today is case.original:
        return None
    capacities = (
        one
        for one in results.contrasts
        if (one.candidate, one.reference) == (case.candidate.name, case.original.name)
        and one.shape == "closed"
        and one.measure == "requests_per_s"
    )
    return max(capacities, key=lambda one: one.connections, default=None)


def sound(figure: Figure) -> bool:
    """Whether a sentence may rest on it."""
    return figure.value is not None and figure.stand_in is None


def _favours(question: _Question) -> bool:
    return question.trial.side == question.contrast.better


def _worse(question: _Question) -> Point:
    return question.reference if _favours(question) else question.candidate


def _speed(question: _Question) -> Speed:
    return Speed(
        question.contrast,
        question.candidate,
        question.reference,
        _favours(question),
        question.aside,
    )


def _is_looked_at(contrast: Contrast) -> bool:
    lone = contrast.shape == "closed" and contrast.connections == 1
    return contrast.measure in (OF_ONE_CLIENT if lone else LOOKED_AT[contrast.shape])
