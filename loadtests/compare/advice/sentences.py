"""What was decided, in sentences for people who do not measure.

They state facts, whichever side they favour. Every number in them is the value, or an end of the
interval, of a figure they name, but for those of the load itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from loadtests.compare.advice.cases import GATEWAY, Case
from loadtests.compare.advice.costs import Cost, What
from loadtests.compare.advice.speeds import Speed, sound
from loadtests.compare.contrasts import load_of
from loadtests.compare.results import Figure, Sentence, Shape, Subject
from loadtests.compare.words import amount, interval, load, number, share

#: Groups of speeds of which one sentence each is said, in the order of the sentences.
_SPOKEN: tuple[tuple[Shape, str], ...] = (
    ("closed", "requests_per_s"),
    ("closed", "p99"),
    ("closed", "p50"),
    ("open", "p99"),
    ("open", "p50"),
    ("batch", "rows_per_s"),
)


def alike(case: Case) -> list[Sentence]:
    """That both answer the same; none where no figure can bear it."""
    parity = case.parity
    ours, theirs = case.title(case.candidate), case.title(case.original)
    if not sound(parity.within) or not sound(parity.largest):
        return []
    text = (
        f"{ours} answers as {theirs} does: {share(parity.within)} of the rows lie within the "
        f"tolerance, the largest difference is {amount(parity.largest)}."
    )
    return [_sentence(text, [parity.within, parity.largest])]


def unlike(case: Case) -> list[Sentence]:
    """That they answer differently, and on which features it depends; none as for :func:`alike`."""
    parity = case.parity
    evidence, figures = [], []
    if sound(parity.within):
        evidence.append(f"{share(parity.within)} of the rows lie within the tolerance")
        figures.append(parity.within)
    if sound(parity.largest):
        evidence.append(f"the largest difference is {amount(parity.largest)}")
        figures.append(parity.largest)
    if parity.labels is not None and sound(parity.labels):
        evidence.append(f"{share(parity.labels)} of the labels are the same")
        figures.append(parity.labels)
    if not figures:
        return []
    ours, theirs = case.title(case.candidate), case.title(case.original)
    text = f"{ours} does not answer as {theirs} does: {_listed(evidence)}"
    if parity.refused:
        text += "; some rows were refused by one of the two only"
    if named := [suspect.feature for suspect in parity.suspects if suspect.named]:
        text += f"; the difference comes from {_listed(named)}"
    return [_sentence(f"{text}.", figures)]


def of_speeds(case: Case, speeds: Iterable[Speed]) -> list[Sentence]:
    """Of each measure under each shape of load, that under the heaviest; what is aside last."""
    chosen: dict[tuple[bool, Shape, str, bool], Speed] = {}
    for speed in speeds:
        contrast = speed.contrast
        key = (speed.aside, contrast.shape, contrast.measure, speed.favours)
        if key not in chosen or _weight(chosen[key]) < _weight(speed):
            chosen[key] = speed
    ordered = sorted(chosen.items(), key=lambda item: (item[0][0], _SPOKEN.index(item[0][1:3])))
    return [_of_speed(case, speed) for _, speed in ordered]


def of_costs(case: Case, costs: Iterable[Cost]) -> list[Sentence]:
    """One for each."""
    return [
        _sentence(_COSTS[cost.what](case, cost), [cost.candidate, cost.reference]) for cost in costs
    ]


def _of_speed(case: Case, speed: Speed) -> Sentence:
    contrast = speed.contrast
    reference = case.original if speed.aside else case.today
    return _sentence(
        _SPEEDS[contrast.measure](
            speed,
            case.asked(case.candidate),
            case.asked(reference),
            load(*load_of(contrast)),
        ),
        speed.figures,
    )


def _requests(speed: Speed, ours: str, theirs: str, under: str) -> str:
    _, candidate, reference = speed.figures
    return (
        f"{ours} answered {_bound(speed)}{interval(speed.contrast.ratio)} times as many requests "
        f"per second as {theirs}, {under}: {_bare(candidate)} against {_bare(reference)}."
    )


def _rows(speed: Speed, ours: str, theirs: str, under: str) -> str:
    return (
        f"{ours} answered {_bound(speed)}{interval(speed.contrast.ratio)} times as many rows per "
        f"second as {theirs}, {under}."
    )


def _half(speed: Speed, ours: str, theirs: str, under: str) -> str:
    _, candidate, reference = speed.figures
    return (
        f"Half of the answers took {ours} no more than {_bare(candidate)} ms, and {theirs} "
        f"{_bare(reference)} ms, {under}: {_bound(speed)}{interval(speed.contrast.ratio)} times as "
        "long."
    )


def _hundredth(speed: Speed, ours: str, theirs: str, under: str) -> str:
    _, candidate, reference = speed.figures
    return (
        f"One answer in a hundred took {ours} {_bare(candidate)} ms or longer, and {theirs} "
        f"{_bare(reference)} ms, {under}: {_bound(speed)}{interval(speed.contrast.ratio)} times as "
        "long."
    )


_SPEEDS: Mapping[str, Callable[[Speed, str, str, str], str]] = {
    "requests_per_s": _requests,
    "rows_per_s": _rows,
    "p50": _half,
    "p99": _hundredth,
}


def _memory(case: Case, cost: Cost) -> str:
    return (
        f"After the load {_server(case, case.candidate)} held {amount(cost.candidate)} of memory, "
        f"{_server(case, case.today)} {amount(cost.reference)}."
    )


def _first(case: Case, cost: Cost) -> str:
    return (
        f"From its start to its first prediction {_server(case, case.candidate)} took "
        f"{amount(cost.candidate)}, {_server(case, case.today)} {amount(cost.reference)}."
    )


def _install(case: Case, cost: Cost) -> str:
    return (
        f"Installed, {_server(case, case.candidate)} takes {amount(cost.candidate)}, "
        f"{_server(case, case.today)} {amount(cost.reference)}."
    )


def _cpu(case: Case, cost: Cost) -> str:
    return (
        f"A thousand predictions took {interval(cost.candidate)} seconds of processor time with "
        f"{case.asked(case.candidate)}, {interval(cost.reference)} with {case.asked(case.today)}."
    )


_COSTS: Mapping[What, Callable[[Case, Cost], str]] = {
    "memory": _memory,
    "cpu": _cpu,
    "first": _first,
    "install": _install,
}


def _server(case: Case, subject: Subject) -> str:
    return f"the {GATEWAY}" if subject.server is None else case.title(subject)


def _bound(speed: Speed) -> str:
    """Before a ratio that the load generator kept from being farther from 1."""
    if not speed.at_least:
        return ""
    return "at least " if (speed.contrast.ratio.value or 0) > 1 else "at most "


def _bare(figure: Figure) -> str:
    """Where the ratio beside it has the interval that counts."""
    return "—" if figure.value is None else number(figure.value)


def _weight(speed: Speed) -> tuple[float, int, int]:
    contrast = speed.contrast
    return contrast.rate or 0.0, contrast.connections, contrast.rows


def _sentence(text: str, figures: Iterable[Figure]) -> Sentence:
    return Sentence(text[0].upper() + text[1:], [figure.id for figure in figures])


def _listed(parts: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
