"""The answer of ``POST /v1/compare``: what each target said of one payload, and who agrees."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gateway.api.intake import not_finite
from gateway.backends.base import Target
from gateway.errors import GatewayError
from gateway.routing.agreement import RowDifferences, compare
from gateway.routing.answer import Answer


class Failure(msgspec.Struct):
    """Why there is no answer of a target, as a problem document; the others may have answered."""

    type: str
    title: str
    status: int
    detail: str
    backend: str | UnsetType = UNSET


class Result(msgspec.Struct):
    """What one target answered, or else ``error``.

    ``latency_ms`` is what a caller would have waited for it: for its turn, for the backend, and for
    a second try where there was one. ``stand_in`` names the stand-in that answers in its place, if
    one does.
    """

    backend: str
    lineage: str
    version: str
    stand_in: str | None
    predictions: list[dict[str, Any]] | None
    latency_ms: float | None
    error: Failure | None


class Agreement(msgspec.Struct):
    """Whether the second of two backends answered as the first, of the same lineage and version.

    ``largest_difference`` is in the output's unit, at ``output`` of row ``row``; null where there
    is none to give, as for a number and NaN or for two different texts. A row agrees where its
    difference is within ``tolerance``; ``agree`` says that all do.
    """

    lineage: str
    tolerance: float
    backends: list[str]
    rows: int
    agreeing: int
    largest_difference: float | None
    output: str
    row: int
    agree: bool


class Distance(msgspec.Struct):
    """How far two lineages are apart: they were trained apart, so neither is at fault.

    Of each lineage the first backend that answered is taken. The differences are in the output's
    unit, null where there is none to give.
    """

    lineages: list[str]
    backends: list[str]
    rows: int
    largest_difference: float | None
    mean_difference: float | None


class Comparison(msgspec.Struct):
    """The answer's body; ``version`` is the one whose manifest the payload was held against."""

    model: str
    version: str
    results: list[Result]
    agreement: list[Agreement]
    distances: list[Distance]
    warnings: list[str]
    request_id: str


@dataclass(slots=True)
class Reply:
    """What came of asking one target: an answer after ``seconds``, or an error."""

    target: Target
    answer: Answer | None = None
    seconds: float = 0.0
    error: GatewayError | None = None
    stand_in: str | None = None

    @property
    def name(self) -> str:
        """The target as people write it."""
        return f"{self.target.backend}/{self.target.lineage}"

    @property
    def result(self) -> Result:
        """The same for the client."""
        answer, error = self.answer, self.error
        return Result(
            backend=self.target.backend,
            lineage=self.target.lineage,
            version=self.target.model.version,
            stand_in=self.stand_in,
            predictions=None if answer is None else answer.objects,
            latency_ms=None if answer is None else round(self.seconds * 1000, 3),
            error=None if error is None else msgspec.convert(error.problem(), Failure),
        )


def comparison(replies: Sequence[Reply], warnings: list[str], identity: str) -> Comparison:
    """The answer's body, of replies to the same rows, in their order."""
    first = replies[0].target.model
    answers = [(reply, reply.answer) for reply in replies if reply.answer is not None]
    return Comparison(
        model=first.name,
        version=first.version,
        results=[reply.result for reply in replies],
        agreement=list(_agreements(answers)),
        distances=list(_distances(answers)),
        warnings=[*warnings, *_warnings(answers, first.version)],
        request_id=identity,
    )


_Answered = Sequence[tuple[Reply, Answer]]


def _agreements(answers: _Answered) -> Iterator[Agreement]:
    """Each pair of one lineage and version, the one that comes first in the manifest first."""
    for (one, ours), (other, theirs) in combinations(answers, 2):
        target = one.target
        if target.lineage != other.target.lineage or target.model is not other.target.model:
            continue
        tolerance = target.model.manifest.parity.absolute
        found = compare(ours.outputs, theirs.outputs, tolerance)
        yield Agreement(
            lineage=target.lineage,
            tolerance=tolerance,
            backends=[target.backend, other.target.backend],
            rows=len(found.differences),
            agreeing=int(found.agreeing.sum()),
            largest_difference=_largest(found),
            output=found.output,
            row=found.row,
            agree=bool(found.agreeing.all()),
        )


def _distances(answers: _Answered) -> Iterator[Distance]:
    """Each pair of lineages of one version."""
    firsts: dict[tuple[str, str], tuple[Reply, Answer]] = {}
    for reply, answer in answers:
        firsts.setdefault((reply.target.lineage, reply.target.model.version), (reply, answer))
    for (one, ours), (other, theirs) in combinations(firsts.values(), 2):
        pair = one.target, other.target
        if pair[0].lineage == pair[1].lineage or pair[0].model is not pair[1].model:
            continue
        found = compare(ours.outputs, theirs.outputs, math.inf)
        yield Distance(
            lineages=[target.lineage for target in pair],
            backends=[target.backend for target in pair],
            rows=len(found.differences),
            largest_difference=_largest(found),
            mean_difference=_finite(float(found.differences.mean())),
        )


def _warnings(answers: _Answered, version: str) -> Iterable[str]:
    for reply, answer in answers:
        theirs = reply.target.model.version
        if theirs != version:
            yield (
                f"{reply.name}: answered with version {theirs}, not {version}, "
                "so it is held against none of that version"
            )
        for output in answer.unfit:
            yield f"{reply.name}: {not_finite(output)}"


def _largest(found: RowDifferences) -> float | None:
    return _finite(float(found.differences[found.row]))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
