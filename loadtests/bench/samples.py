"""What one measurement gives, and what several give together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the load generator. ``rows`` is the number in each body.

    ``cpu_ms`` is the processor time a request took on the caller's side, where that is measured.
    """

    seconds: float
    requests: int
    errors: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    rows: int = 1
    cpu_ms: float | None = None

    @property
    def good(self) -> int:
        """Requests answered without an error."""
        return max(0, self.requests - self.errors)

    @property
    def requests_per_s(self) -> float:
        """Good answers per second."""
        return self.good / self.seconds

    @property
    def rows_per_s(self) -> float:
        """Rows of good answers per second."""
        return self.requests_per_s * self.rows


def ratios(ours: Iterable[float], theirs: Iterable[float]) -> list[float]:
    """Ours ÷ theirs, round by round; infinite where theirs is 0."""
    return [a / b if b else float("inf") for a, b in zip(ours, theirs, strict=True)]


def differences(ours: Iterable[float], theirs: Iterable[float]) -> list[float]:
    """Ours − theirs, round by round."""
    return [a - b for a, b in zip(ours, theirs, strict=True)]


def settled(speeds: Sequence[float]) -> bool:
    """Whether the last two are not faster than what came before them by more than 3 %."""
    return len(speeds) > 2 and max(speeds[-2:]) <= 1.03 * max(speeds[:-2])


def fall(curve: Iterable[float]) -> float:
    """How far the lowest value after the maximum lies below it, in percent; 0 where none follows.

    ``curve`` is throughput by growing size.
    """
    values = list(curve)
    top = values.index(max(values))
    return 100 * (1 - min(values[top:]) / values[top])
