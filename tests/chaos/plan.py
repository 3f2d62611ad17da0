"""What a driver is told to do, and what it records; both travel as msgpack between processes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec


class Plan(msgspec.Struct, kw_only=True):
    """Load on one or several replicas of a gateway.

    Without ``rate`` the loop is closed: each of ``connections`` sends its next request as soon as
    it has its answer, and ``pause_s`` seconds later after one that is not 200. With ``rate``,
    requests per second, it is open: requests are sent at random times whatever becomes of those
    before (a Poisson process), over at most ``connections`` connections.

    It goes on until ``seconds`` are over and, with ``until_told``, its standard input is closed; a
    closed loop also until ``requests`` have ended. With ``follow`` it sends only to replicas whose
    ``/readyz`` said 200 at the last look, 50 ms apart, as a load balancer does; else to all.
    With ``sticky`` each request has that header, with one of ``keys`` values in turn.
    """

    urls: list[str]
    bodies: list[str]
    path: str = "/v1/predict"
    headers: dict[str, str] = {}
    connections: int = 8
    rate: float | None = None
    period_s: float = 0.0
    requests: int = 0
    seconds: float = 0.0
    until_told: bool = False
    follow: bool = False
    sticky: str = ""
    keys: int = 1
    pause_s: float = 0.0
    give_up_s: float = 30.0


class Record(msgspec.Struct, array_like=True, gc=False):
    """One request and what became of it.

    ``at`` is the :func:`time.monotonic` time at which it was meant to be sent, from which the
    latency counts; on Linux that clock is the same in all processes. ``status`` 0 means that there
    was no answer. ``problem`` is the slug of a problem document, else, in other words, what was
    wrong. ``value`` is the first output of the first row.
    """

    at: float
    latency_s: float
    replica: int
    status: int = 0
    problem: str = ""
    backend: str = ""
    lineage: str = ""
    version: str = ""
    values: list[float | None] = []
    key: int = 0

    @property
    def done(self) -> float:
        """When the answer had come, or failed to."""
        return self.at + self.latency_s


def quantile(values: Iterable[float], share: float) -> float:
    """The nearest-rank quantile: the least value that ``share`` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def p99_ms(records: Iterable[Record]) -> float:
    """The 99th percentile of the latencies in milliseconds."""
    return quantile((record.latency_s for record in records), 0.99) * 1000


def tally(
    records: Sequence[Record], by: Callable[[Record], str] = lambda record: record.backend
) -> str:
    """How many ended how, in words for a report: ``20000 × 200 onnx, 3 × 503 overloaded``."""
    counts = Counter(f"{r.status} {r.problem or by(r)}".strip() for r in records)
    parts = [f"{count} × {ending}" for ending, count in counts.most_common()]
    return ", ".join(parts) or "nothing"


def unanswered(records: Iterable[Record]) -> list[Record]:
    """Those whose client did not get its prediction."""
    return [record for record in records if record.status != 200]


def binomial_interval(count: int, share: float, level: float) -> tuple[int, int]:
    """The shortest central interval of a binomial variable that holds at least ``level``.

    Exact, by summing up the distribution: no more than half of what is missing from ``level`` lies
    on either side.
    """
    tail = (1 - level) / 2
    log_p, log_q = math.log(share), math.log1p(-share)

    def probability(k: int) -> float:
        ways = math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        return math.exp(ways + k * log_p + (count - k) * log_q)

    low, below = 0, probability(0)
    while below <= tail:
        low += 1
        below += probability(low)
    high, above = count, probability(count)
    while above <= tail:
        high -= 1
        above += probability(high)
    return low, high
