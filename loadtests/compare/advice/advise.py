"""The rules of advice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from loadtests.compare.advice.cases import TITLES, Case, cases
from loadtests.compare.advice.costs import decided_costs
from loadtests.compare.advice.failures import Reliability, reliability
from loadtests.compare.advice.sentences import alike, of_costs, of_speeds, unlike
from loadtests.compare.advice.speeds import Decided, decide
from loadtests.compare.contrasts import by_load
from loadtests.compare.results import Advice, Results, Sentence


def advise(results: Results) -> list[Advice]:
    """What to do, for each pair of ``results.parity``, in that order.

    The first of these rules that applies has the word:

    1. A stand-in answered for either: nothing is said. Its figures bear no sentence anywhere.
    2. Either failed, even once, at anything but more load than it can take: nothing is said.
    3. Their answers differ: stay. It is not decided whether they do: nothing is said.
    4. Benefits of more than 10 % are decided and no such loss: move. Losses and no benefit: stay.
       Both: the facts are said, but weighing them is the reader's.
    5. Otherwise nothing is said.

    The original is measured as clients ask it today, directly where that was measured. Benefits and
    losses are those of speed (:mod:`.speeds`) and cost (:mod:`.costs`); without any speed to look
    at nothing is said of cost either. Raises KeyError where parity names no subject.
    """
    measured = by_load(results.points)
    reliable = {
        subject.name: reliability(measured.get(subject.name, {}).values())
        for subject in results.subjects
    }
    unfit = [overload.point for one in reliable.values() for overload in one.overloads]
    every = cases(results)
    advice = {number: _beforehand(case, reliable) for number, case in enumerate(every)}
    undecided = [number for number, settled in advice.items() if settled is None]
    for lineage in {every[number].parity.lineage for number in undecided}:
        family = [number for number in undecided if every[number].parity.lineage == lineage]
        decided = decide([every[number] for number in family], results, unfit)
        for number, found in zip(family, decided, strict=True):
            advice[number] = _weighed(every[number], results, found, reliable)
    return [each for each in advice.values() if each is not None]


def _beforehand(case: Case, reliable: Mapping[str, Reliability]) -> Advice | None:
    """The advice where neither speed nor cost have a say in it."""
    parity = case.parity
    if stand_ins := [
        f"{TITLES.get(one.backend, one.backend)} was not measured: a stand-in answered in its place"
        for one in case.subjects
        if one.stand_in is not None
    ]:
        return _advice(case, silent=stand_ins)
    failures = [
        worst.words(case.asked(one))
        for one in case.subjects
        if (worst := reliable[one.name].worst) is not None
    ]
    if failures:
        return _advice(case, silent=failures)
    if parity.verdict == "undecided":
        return _advice(case, silent=[f"whether the answers agree is undecided: {parity.evidence}"])
    if parity.verdict == "not equivalent":
        if sentences := unlike(case):
            return msgspec.structs.replace(_advice(case, sentences), action="stay")
        return _advice(case, silent=["the answers differ, but no figure shows by how much"])
    return None


def _weighed(
    case: Case, results: Results, decided: Decided, reliable: Mapping[str, Reliability]
) -> Advice:
    """The advice on two that answer alike."""
    silent = [
        overload.words(case.asked(one))
        for one in case.subjects
        for overload in reliable[one.name].overloads
    ]
    if decided.held_back:
        silent.append("some speeds may differ only because the load generator was the limit")
    if not decided.looked_at:
        unknown = "speed was not measured, or in too few rounds to decide anything"
        return _advice(case, silent=[unknown, *silent])
    main = [speed for speed in decided.speeds if not speed.aside]
    aside = of_speeds(case, [speed for speed in decided.speeds if speed.aside])
    costs = decided_costs(case, results)
    good, bad = (
        of_speeds(case, [speed for speed in main if speed.favours is favours])
        + of_costs(case, [cost for cost in costs if cost.favours is favours])
        for favours in (True, False)
    )
    if good and bad:
        facts = [*_headed("In its favour", good), *_headed("Against it", bad), *aside]
        trade_off = (
            f"it is a trade-off: {case.title(case.candidate)} is better in some, worse in others"
        )
        return _advice(case, facts, [trade_off, *silent])
    if good:
        sentences = [*alike(case), *good, *aside]
        return msgspec.structs.replace(_advice(case, sentences, silent), action="move")
    if bad:
        return msgspec.structs.replace(_advice(case, bad, silent), action="stay")
    return _advice(case, silent=["no difference beyond 10 % was decided", *silent])


def _headed(head: str, sentences: Iterable[Sentence]) -> list[Sentence]:
    return [
        msgspec.structs.replace(sentence, text=f"{head}: {sentence.text}") for sentence in sentences
    ]


def _advice(case: Case, sentences: Iterable[Sentence] = (), silent: Iterable[str] = ()) -> Advice:
    """That decides nothing yet."""
    return Advice(
        lineage=case.parity.lineage,
        candidate=case.parity.candidate,
        reference=case.parity.reference,
        action="none",
        sentences=list(sentences),
        silent_because=list(silent),
    )
