"""Errors: who failed, and who was only asked for more than it can do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from loadtests.compare.results import Point
from loadtests.compare.words import load, number, percent

#: How the names of errors begin by which a server, or who waits for it, says that it has too much
#: to do. Any other error is a failure under any load.
_TOO_MUCH = ("429", "503", "504", "no answer in time")


@dataclass(frozen=True, slots=True)
class Failure:
    """A point at which errors came. ``share`` (0–1) of what was sent; ``kinds`` names them."""

    point: Point
    share: float
    kinds: str

    def words(self, who: str) -> str:
        """``TorchServe asked directly failed 1.02 % of its requests with 64 clients (500)``."""
        kinds = f" ({self.kinds})" if self.kinds else ""
        return f"{who} failed {percent(self.share)} % of its requests {_under(self.point)}{kinds}"


@dataclass(frozen=True, slots=True)
class Overload(Failure):
    """Errors where more was asked than the subject can do: ``capacity`` requests/s."""

    capacity: float

    def words(self, who: str) -> str:
        """Why nothing is made of the errors, nor of the latencies of what was still answered."""
        return (
            f"{_under(self.point)} {who} was asked for more than the {number(self.capacity)} "
            f"requests per second it can answer, and left {percent(self.share)} % unanswered "
            f"({self.kinds}): overload, no failure, and no latencies to compare"
        )


@dataclass(frozen=True, slots=True)
class Reliability:
    """What one subject's points say of errors: the worst failure, and all overloads."""

    worst: Failure | None
    overloads: list[Overload]


def reliability(points: Collection[Point]) -> Reliability:
    """Look at all points of one subject; a single error that is no overload is a failure.

    Errors are overload where an open loop asks for more than the subject's capacity and they say
    that it was too much: 429, 503, 504, no answer in time. The capacity is the most requests/s it
    answered to clients that wait for their answers; unknown, no error is overload.
    """
    closed = [
        point.requests_per_s.value
        for point in points
        if point.shape == "closed" and point.rows == 1 and point.requests_per_s.value is not None
    ]
    capacity = max(closed, default=float("inf"))
    failures, overloads = [], []
    for point in points:
        errors: Counter[str] = Counter()
        for one in point.rounds:
            errors.update(one.errors)
        sent = sum(one.sent for one in point.rounds)
        too_much = Counter(
            {
                kind: count
                for kind, count in errors.items()
                if kind.startswith(_TOO_MUCH) and (point.rate or 0) > capacity
            }
        )
        if total := too_much.total():
            overloads.append(Overload(point, _share(total, sent), _kinds(too_much), capacity))
        failed = errors - too_much
        if total := failed.total():
            failures.append(Failure(point, _share(total, sent), _kinds(failed)))
        elif not errors.total() and (share := point.error_share.value or 0.0) > 0:
            failures.append(Failure(point, share, ""))
    return Reliability(max(failures, key=lambda one: one.share, default=None), overloads)


def _share(errors: int, sent: int) -> float:
    return min(1.0, errors / sent) if sent else 1.0


def _kinds(errors: Counter[str]) -> str:
    return ", ".join(kind for kind, _ in errors.most_common())


def _under(point: Point) -> str:
    return load(point.shape, point.connections, point.rate, point.rows)
