"""What shadowing has found: the report of ``GET /v1/shadow``, and what it is gathered in."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from gateway.backends.base import Target
from gateway.models.rows import Outputs, concat_outputs
from gateway.routing.agreement import compare, wilson
from gateway.routing.backlog import Copy


class Candidate(msgspec.Struct, frozen=True):
    """The target that is tried."""

    backend: str
    lineage: str
    version: str


class Requests(msgspec.Struct, frozen=True):
    """What became of the requests.

    ``copied`` + ``dropped`` are the share of the ``offered`` ones; ``copied`` = ``compared`` +
    ``failed`` + ``waiting``, the last with those in flight.
    """

    offered: int
    copied: int
    compared: int
    failed: int
    waiting: int
    dropped: int
    dropped_by_reason: dict[str, int]


class LargestDifference(msgspec.Struct, frozen=True):
    """The row on which both differed most; ``difference`` is None where it is infinite.

    ``candidate`` is None where the candidate lacks the output or has it for other rows.
    """

    difference: float | None
    output: str
    payload: Any
    primary: Any
    candidate: Any
    request_id: str


class Latency(msgspec.Struct, frozen=True):
    """Latencies of the latest requests that were compared, in milliseconds."""

    primary: Percentiles
    candidate: Percentiles


class ShadowReport(msgspec.Struct, frozen=True, kw_only=True):
    """What shadowing has found since ``since``, in this process.

    ``agreement`` is the share of compared rows within ``tolerance`` (None of none), ``interval``
    its 95 % Wilson interval; rows of one request, and repeated ones, are less independent than
    that supposes.
    """

    model: str
    candidate: Candidate
    share: float
    since: str
    requests: Requests
    rows_compared: int
    rows_agreeing: int
    agreement: float | None
    interval: tuple[float, float]
    tolerance: float
    largest_difference: LargestDifference | None
    latency_ms: Latency
    last_error: str | None


class Percentiles(msgspec.Struct, frozen=True):
    """Latencies in milliseconds; None before anything was measured."""

    p50: float | None
    p90: float | None
    p99: float | None


class Latencies:
    """The latest latencies, as many as ``size``; older ones are forgotten."""

    def __init__(self, size: int = 5_000) -> None:
        self._seconds: deque[float] = deque(maxlen=size)

    def add(self, seconds: Iterable[float]) -> None:
        """Take note of latencies in seconds."""
        self._seconds.extend(seconds)

    def percentiles(self) -> Percentiles:
        """The percentiles of what is remembered."""
        if not self._seconds:
            return Percentiles(None, None, None)
        found = np.percentile(list(self._seconds), (50, 90, 99)) * 1000
        return Percentiles(*(round(float(value), 3) for value in found))


class Findings:
    """Counts, the largest difference and latencies, from the moment it is made."""

    def __init__(self, tolerance: float) -> None:
        self.offered = 0
        self.copied = 0
        self.compared = 0
        self.failed = 0
        self.dropped: Counter[str] = Counter()
        self.last_error: str | None = None
        self._tolerance = tolerance
        self._rows_compared = 0
        self._rows_agreeing = 0
        self._largest = 0.0
        self._largest_difference: LargestDifference | None = None
        self._primary = Latencies()
        self._candidate = Latencies()
        self._since = datetime.now(UTC).isoformat(timespec="seconds")

    def compare(
        self, copies: Sequence[Copy], outputs: Outputs, candidate_s: float
    ) -> tuple[int, int]:
        """Compare what the candidate answered to these requests in one call of ``candidate_s``.

        Returns how many rows were compared and how many of them agree. The outputs of the requests
        must be of the same dtypes and shapes but for the number of rows.
        """
        primary = concat_outputs([copy.outputs for copy in copies])
        found = compare(primary, outputs, self._tolerance)
        largest = float(found.differences[found.row])
        if largest > self._largest:
            self._largest_difference = _describe(
                copies, found.row, found.output, largest, primary, outputs
            )
            self._largest = largest
        rows, agreeing = len(found.agreeing), int(found.agreeing.sum())
        self.compared += len(copies)
        self._rows_compared += rows
        self._rows_agreeing += agreeing
        self._primary.add(copy.primary_s for copy in copies)
        self._candidate.add([candidate_s] * len(copies))
        return rows, agreeing

    def report(self, candidate: Target, share: float) -> ShadowReport:
        """All of it, as it stands now."""
        total, agreeing = self._rows_compared, self._rows_agreeing
        return ShadowReport(
            model=candidate.model.name,
            candidate=Candidate(candidate.backend, candidate.lineage, candidate.model.version),
            share=share,
            since=self._since,
            requests=Requests(
                offered=self.offered,
                copied=self.copied,
                compared=self.compared,
                failed=self.failed,
                waiting=self.copied - self.compared - self.failed,
                dropped=self.dropped.total(),
                dropped_by_reason=dict(self.dropped),
            ),
            rows_compared=total,
            rows_agreeing=agreeing,
            agreement=agreeing / total if total else None,
            interval=wilson(agreeing, total),
            tolerance=self._tolerance,
            largest_difference=self._largest_difference,
            latency_ms=Latency(self._primary.percentiles(), self._candidate.percentiles()),
            last_error=self.last_error,
        )


def _describe(
    copies: Sequence[Copy],
    row: int,
    output: str,
    difference: float,
    primary: Outputs,
    candidate: Outputs,
) -> LargestDifference:
    """The row as a client sent it, found again among the requests, and both values."""
    place = row
    for copy in copies:
        if place < copy.rows.count:
            break
        place -= copy.rows.count
    theirs = candidate.get(output)
    if theirs is not None and theirs.shape != primary[output].shape:
        theirs = None
    return LargestDifference(
        difference=difference if math.isfinite(difference) else None,
        output=output,
        payload=msgspec.to_builtins(copy.rows.objects[place]),
        primary=primary[output][row : row + 1].tolist()[0],
        candidate=None if theirs is None else theirs[row : row + 1].tolist()[0],
        request_id=copy.key,
    )
