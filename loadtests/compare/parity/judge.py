"""Whether a candidate answers as its reference, and the evidence."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gateway.models.manifest import Manifest
from loadtests.compare.parity.answers import Answer, Ask, Refusal
from loadtests.compare.parity.differences import Differences, differences
from loadtests.compare.parity.figures import (
    histogram,
    largest,
    mean,
    share,
    spelled,
    stand_ins,
    unit,
)
from loadtests.compare.parity.suspects import suspects
from loadtests.compare.results import Parity, Subject, Verdict, Worst, figure_id
from loadtests.payloads import Payload

#: Fewer rows that agree prove nothing: of 100, one in thirty could still differ unseen.
ENOUGH = 100
#: Rows between two reports of progress.
_STEP = 256


async def parity(
    reference: Subject,
    candidate: Subject,
    asks: Mapping[str, Ask],
    payloads: Mapping[str, Sequence[Payload]],
    manifest: Manifest,
    *,
    advance: Callable[[int], None] | None = None,
    blame: bool = True,
    seed: int = 0,
) -> Parity:
    """Ask both subjects, of one lineage, for the same rows and judge the candidate.

    ``asks`` are by the subjects' names, ``payloads`` by where they come from (``examples``,
    ``edges``, ``generated``, ``file``); the tolerance is the manifest's. One row that differs by
    more, or that exactly one refuses, makes them not equivalent; ``ENOUGH`` rows that all agree
    make them equivalent. ``advance`` is told how many more rows both have answered. With ``blame``
    further rows are asked to find the features at fault, see :mod:`.suspects`. Raises
    :class:`CompareError` where a subject does not answer.
    """
    rows = [payload for some in payloads.values() for payload in some]
    ours: list[Answer] = []
    theirs: list[Answer] = []
    for start in range(0, len(rows), _STEP):
        some = rows[start : start + _STEP]
        one, other = await asyncio.gather(asks[reference.name](some), asks[candidate.name](some))
        ours += one
        theirs += other
        if advance is not None:
            advance(len(some))
    tolerance = manifest.parity.absolute
    found = differences(ours, theirs, tolerance)
    verdict = _verdict(found)
    prefix = figure_id("parity", reference.lineage, reference.name, candidate.name)
    marks, of_what = stand_ins(reference, candidate), unit(manifest)
    within = f"{tolerance:g} {of_what}".rstrip()
    names = reference.name, candidate.name
    blamed = []
    if blame and verdict == "not equivalent":
        both = asks[reference.name], asks[candidate.name]
        disagreeing = [row for row, fine in zip(rows, found.agreeing, strict=True) if not fine]
        blamed = await suspects(names, both, manifest, disagreeing, seed=seed)
    labels = None
    if found.labels is not None:
        answered = found.compared & ~found.refused
        labels = share(found.labels, answered, f"{prefix}.labels", "equal labels", marks)
    return Parity(
        lineage=reference.lineage,
        reference=reference.name,
        candidate=candidate.name,
        tolerance=tolerance,
        rows={kind: len(some) for kind, some in payloads.items()},
        refused=int(found.refused.sum()),
        verdict=verdict,
        evidence=_evidence(found, verdict, within, of_what, names, ours),
        largest=largest(found, prefix, of_what, marks),
        mean=mean(found, prefix, of_what, marks),
        within=share(
            found.agreeing, found.compared, f"{prefix}.within", f"rows within {within}", marks
        ),
        labels=labels,
        worst=_worst(found, rows, ours, theirs),
        histogram=histogram(found, tolerance),
        suspects=blamed,
    )


def _verdict(found: Differences) -> Verdict:
    if (found.compared & ~found.agreeing).any():
        return "not equivalent"
    return "equivalent" if found.compared.sum() >= ENOUGH else "undecided"


def _evidence(
    found: Differences,
    verdict: Verdict,
    within: str,
    of_what: str,
    names: tuple[str, str],
    reference: Sequence[Answer],
) -> str:
    """One sentence with the numbers the verdict rests on."""
    total, agreeing = int(found.compared.sum()), int(found.agreeing.sum())
    if not total:
        return "no row was answered by either of them"
    parts = [f"{agreeing:,} of {total:,} rows within {within}"]
    if found.finite.size:
        parts.append(f"largest difference {spelled(found.finite.max())} {of_what}".rstrip())
    beyond = int((found.compared & ~found.refused & np.isinf(found.values)).sum())
    if beyond:
        parts.append(f"{beyond:,} rows differ in what has no difference in numbers")
    by_reference = sum(
        isinstance(answer, Refusal) and bool(alone)
        for answer, alone in zip(reference, found.refused, strict=True)
    )
    for name, count in zip(names, (by_reference, found.refused.sum() - by_reference), strict=True):
        if count:
            parts.append(f"{count:,} rows refused by {name} alone")
    by_both = len(reference) - total
    if by_both:
        parts.append(f"{by_both:,} more rows refused by both")
    if verdict == "undecided":
        parts.append(f"fewer than {ENOUGH} rows are too few to tell")
    return "; ".join(parts)


def _worst(
    found: Differences,
    rows: Sequence[Payload],
    reference: Sequence[Answer],
    candidate: Sequence[Answer],
) -> Worst | None:
    """The first row with the largest difference; None where all answers are the same."""
    if not found.values.size or found.values.max() == 0:
        return None
    row = int(found.values.argmax())
    difference = float(found.values[row])
    ours, theirs = reference[row], candidate[row]
    output = found.outputs[row] or next(iter(_outputs(ours) | _outputs(theirs)), "")
    return Worst(
        payload=rows[row],
        output=output,
        reference=_shown(ours, output),
        candidate=_shown(theirs, output),
        difference=difference if math.isfinite(difference) else None,
    )


def _outputs(answer: Answer) -> dict[str, Any]:
    return {} if isinstance(answer, Refusal) else answer


def _shown(answer: Answer, output: str) -> Any:
    return answer.words if isinstance(answer, Refusal) else answer.get(output)
