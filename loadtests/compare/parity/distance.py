"""How far apart two lineages are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from gateway.models.manifest import Manifest
from loadtests.compare.parity.answers import Ask
from loadtests.compare.parity.differences import differences
from loadtests.compare.parity.figures import largest, mean, stand_ins, unit
from loadtests.compare.results import Distance, Subject, figure_id
from loadtests.payloads import Payload


async def distance(
    one: Subject,
    other: Subject,
    asks: Mapping[str, Ask],
    payloads: Mapping[str, Sequence[Payload]],
    manifest: Manifest,
) -> Distance:
    """Ask two subjects of different lineages for the same rows and measure, without a verdict.

    ``asks`` are by the subjects' names, ``payloads`` by where they come from. ``rows`` counts those
    both have answered. Raises :class:`CompareError` where one does not answer.
    """
    rows = [payload for some in payloads.values() for payload in some]
    found = differences(
        *await asyncio.gather(asks[one.name](rows), asks[other.name](rows)),
        tolerance=manifest.parity.absolute,
    )
    prefix = figure_id("distance", one.name, other.name)
    marks = stand_ins(one, other)
    return Distance(
        one=one.name,
        other=other.name,
        rows=int((found.compared & ~found.refused).sum()),
        largest=largest(found, prefix, unit(manifest), marks),
        mean=mean(found, prefix, unit(manifest), marks),
    )
