"""How it was measured, and how to read it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from loadtests.compare.report.numerals import duration, number
from loadtests.compare.results import Results

# Not those of the machine's language.
_MONTHS = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]


def facts(results: Results) -> list[tuple[str, str]]:
    """What was measured where, with what: a name and its words."""
    machine = results.machine
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    pinned = "servers and load generator on cores of their own" if machine.pinned else "no"
    busy = machine.busy or "nothing that took a notable part of the machine"
    lines = [
        ("Command", results.command),
        ("Begun", moment(results.started)),
        ("Took", duration(results.seconds)),
        ("Model", f"{results.model}, version {results.version}"),
        ("Processor", f"{machine.processor}, {machine.cores} cores"),
        ("Memory", f"{number(machine.memory_gb)} GB"),
        ("System", f"{machine.system}, Python {machine.python}"),
        ("Packages", packages),
        ("Pinned", pinned),
        ("What else ran", busy),
        ("Rounds", _rounds(results)),
    ]
    return [(name, text) for name, text in lines if text]


def moment(iso: str) -> str:
    """``2026-11-21T13:09:04Z`` as ``21 November 2026, 13:09 UTC``; what is no time as it is."""
    try:
        at = datetime.fromisoformat(iso).astimezone(UTC)
    except ValueError:
        return iso
    return f"{at.day} {_MONTHS[at.month - 1]} {at:%Y, %H:%M} UTC"


def stand_ins(results: Results) -> list[str]:
    """A sentence for each stand-in."""
    answered: dict[str, list[str]] = {}
    for subject in results.subjects:
        if subject.stand_in:
            answered.setdefault(subject.stand_in, []).append(subject.name)
    return [
        f"A stand-in answered for {' and '.join(names)} ({name}): its figures say nothing about "
        "the real server, and nothing is recommended on them."
        for name, names in answered.items()
    ]


def explanations(results: Results) -> list[str]:
    """How to read what is shown; only of what there is."""
    return list(_explanations(results))


def _explanations(results: Results) -> Iterator[str]:
    if results.points:
        yield (
            "Subjects took turns, round by round. A figure is the median of its rounds; in "
            "brackets is the 95 % confidence interval of their mean: were all of it repeated, "
            "about 19 of 20 such intervals would hold the true mean."
        )
        yield (
            "Latency counts from the moment a request was to be sent, not from when it could be: "
            "what waits behind a stalled server is in the tail. Only answers with status 200 "
            "count; all else is in the column of errors."
        )
    if any(point.driver_limited for point in results.points):
        yield (
            "≥ and ≤: the load generator used up its core there, so the server can do at least "
            "that many requests and needs at most that long."
        )
    if results.contrasts:
        yield (
            "A ratio is candidate ÷ reference of the same round. It is called better or worse "
            "where its interval does not hold 1. Below it is candidate − reference. A "
            "recommendation asks for more: an effect of practical size that remains when all "
            "comparisons are judged together."
        )
    if results.distances:
        yield (
            "Lineages were trained apart. How far their answers lie from each other is a "
            "distance, no fault of either."
        )
    if results.servers:
        yield (
            "Memory is the resident memory of all processes of a server, in MB of 10⁶ bytes; pages "
            "that processes share are counted in each of them."
        )
    if results.locust:
        yield (
            "Locust counts latency from when a request was sent, and rounds it to two digits "
            "above 100 ms: compare its figures with each other only."
        )


def _rounds(results: Results) -> str:
    counts = sorted({len(point.rounds) for point in results.points})
    seconds = [one.seconds for point in results.points for one in point.rounds]
    if not counts or not seconds:
        return ""
    spread = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    shortest, longest = number(min(seconds)), number(max(seconds))
    each = shortest if shortest == longest else f"{shortest} to {longest}"
    return f"{spread} per load, {each} s each"
