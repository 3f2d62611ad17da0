"""Makes rounds of outcomes, and of all rounds of a subject under one load a point."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.routing.agreement import wilson
from loadtests.compare.load.plan import Outcome
from loadtests.compare.results import Figure, Point, Round, Shape, figure_id
from loadtests.compare.statistics import amounts_interval

#: The percentiles that are shown, by their names in a :class:`Round`.
_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
_WORDS = {"p50": "p50", "p90": "p90", "p99": "p99", "p999": "p99.9"}
#: Where the curve has its points: evenly up to 0.9, then the denser the nearer to 1, and 1 itself.
_CURVE = np.concatenate([np.linspace(0, 0.9, 40, endpoint=False), 1 - 10 ** -np.linspace(1, 4, 79)])
#: A driver that uses this much of its core was the limit.
_LIMIT = 0.9


def to_round(outcome: Outcome) -> Round:
    """One measurement, its percentiles from every single latency."""
    latencies = outcome.latencies_ms
    p50, p90, p99, p999, longest = percentiles(latencies, [*_SHARES.values(), 1.0])
    return Round(
        seconds=outcome.seconds,
        sent=outcome.sent,
        answered=len(latencies),
        errors=outcome.errors,
        requests_per_s=outcome.in_window / outcome.seconds,
        p50=p50,
        p90=p90,
        p99=p99,
        p999=p999,
        longest=longest,
        driver_busy=outcome.driver_cpu_s / outcome.seconds,
    )


def percentiles(latencies: NDArray[np.float64], shares: Iterable[float]) -> list[float | None]:
    """By nearest rank: for each share the least latency that this share of them do not exceed.

    ``latencies`` is ``float64[n]`` in any order, the shares lie in 0 to 1; None where n is 0.
    """
    if not len(latencies):
        return [None for _ in shares]
    ordered = np.sort(latencies)
    # Rounded, for 0.999 of 3,000 must be 2,997 and not the next whole number above 2,997.0000001.
    ranks = np.ceil(np.round(np.asarray(list(shares)) * len(ordered), 6)).astype(int)
    return [float(value) for value in ordered[np.maximum(ranks, 1) - 1]]


def point(
    subject: str,
    stand_in: str | None,
    shape: Shape,
    connections: int,
    rate: float | None,
    rows: int,
    rounds: Sequence[Round],
    latencies_per_round: Sequence[NDArray[np.float64]],
) -> Point:
    """One subject under one load; the latencies, ``float64[answered]`` in ms, are of its rounds.

    Raises ValueError where there is no round.
    """
    if not rounds:
        raise ValueError("nothing was measured")
    load = f"r{rate:.10g}" if rate is not None else f"c{connections}"
    where = f"of {subject}, {_in_words(shape, connections, rate, rows)}"

    def figure(measure: str, what: str, unit: str, values: Sequence[float | None]) -> Figure:
        known = [value for value in values if value is not None]
        low, high = amounts_interval(known)
        missing = len(values) - len(known)
        return Figure(
            id=figure_id("speed", shape, load, f"n{rows}", subject, measure),
            what=f"{what} {where}",
            value=statistics.median(known) if known else None,
            unit=unit,
            low=low,
            high=high,
            stand_in=stand_in,
            remark=_missing(missing, len(values)),
        )

    latency = {
        name: figure(name, f"{_WORDS[name]} latency", "ms", [getattr(r, name) for r in rounds])
        for name in _SHARES
    }
    speeds = [each.requests_per_s for each in rounds]
    return Point(
        subject=subject,
        shape=shape,
        connections=connections,
        rate=rate,
        rows=rows,
        rounds=list(rounds),
        requests_per_s=figure("requests_per_s", "good answers per second", "requests/s", speeds),
        **latency,
        error_share=_error_share(
            figure_id("speed", shape, load, f"n{rows}", subject, "error_share"),
            f"share of errors {where}",
            stand_in,
            rounds,
        ),
        curve=_curve(latencies_per_round),
        driver_limited=statistics.median(r.driver_busy for r in rounds) >= _LIMIT,
    )


def _error_share(id_: str, what: str, stand_in: str | None, rounds: Sequence[Round]) -> Figure:
    """Of all requests of all rounds: errors are too rare to be compared round by round."""
    sent = sum(each.sent for each in rounds)
    errors = sum((Counter(each.errors) for each in rounds), Counter[str]())
    low, high = wilson(errors.total(), sent)
    return Figure(
        id=id_,
        what=what,
        value=errors.total() / sent if sent else None,
        low=low if sent else None,
        high=high if sent else None,
        stand_in=stand_in,
        remark=", ".join(f"{count} × {name}" for name, count in errors.most_common())
        if sent
        else "nothing was sent",
    )


def _curve(latencies_per_round: Sequence[NDArray[np.float64]]) -> list[tuple[float, float]]:
    """(share, ms) pairs of all latencies together, the last of them (1, the longest)."""
    pooled = np.concatenate([np.empty(0), *latencies_per_round])
    shares = [*_CURVE.tolist(), 1.0]
    found = zip(shares, percentiles(pooled, shares), strict=True)
    return [(share, ms) for share, ms in found if ms is not None]


def _in_words(shape: Shape, connections: int, rate: float | None, rows: int) -> str:
    if rate is not None:
        load = f"{rate:,.10g} requests/s"
    else:
        load = "one client" if connections == 1 else f"{connections} clients"
    loop = {"closed": "closed loop", "open": "open loop", "batch": "batches"}[shape]
    return f"{loop}, {load}" + (f", {rows} rows a request" if rows > 1 else "")


def _missing(missing: int, rounds: int) -> str:
    if not missing:
        return ""
    return "nothing was answered" if missing == rounds else f"{missing} of {rounds} rounds failed"
