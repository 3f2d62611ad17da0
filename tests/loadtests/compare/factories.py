"""Documents as a comparison makes them, from rounds given by hand or drawn."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from loadtests.compare.contrasts import contrasts
from loadtests.compare.results import (
    Figure,
    Machine,
    Parity,
    Point,
    Results,
    Round,
    Server,
    Subject,
    Suspect,
    Usage,
    Verdict,
    figure_id,
)

ONNX = Subject(name="onnx/pytorch", backend="onnx", lineage="pytorch")
TORCHSERVE = Subject(
    name="torchserve/pytorch", backend="torchserve", lineage="pytorch", server="http://127.0.0.1:1"
)
DIRECT = Subject(
    name="torchserve/pytorch direct",
    backend="torchserve",
    lineage="pytorch",
    direct=True,
    server="http://127.0.0.1:1",
)


class Load(TypedDict, total=False):
    """The load of :func:`point`."""

    shape: Any
    connections: int
    rate: float | None
    rows: int


#: What a comparison asks of every subject.
LOADS: tuple[Load, ...] = (
    {"connections": 1},
    {"connections": 8},
    {"connections": 64},
    {"shape": "open", "connections": 256, "rate": 200.0},
    {"shape": "open", "connections": 256, "rate": 500.0},
    {"shape": "open", "connections": 256, "rate": 1000.0},
    {"shape": "batch", "connections": 1, "rows": 128},
)


def figure(id: str, value: float | None, unit: str = "", **rest: Any) -> Figure:
    """A figure that is about itself."""
    return Figure(id=figure_id(id), what=id, value=value, unit=unit, **rest)


def one_round(
    rps: float, p50: float | None, p99: float | None, errors: Mapping[str, int] | None = None
) -> Round:
    """Four seconds."""
    answered = round(4 * rps)
    failed = dict(errors or {})
    return Round(
        seconds=4,
        sent=answered + sum(failed.values()),
        answered=answered,
        errors=failed,
        requests_per_s=rps,
        p50=p50,
        p90=p50,
        p99=p99,
        p999=p99,
        longest=p99,
        driver_busy=0.4,
    )


def point(
    subject: Subject,
    rounds: Sequence[Round],
    *,
    shape: Any = "closed",
    connections: int = 64,
    rate: float | None = None,
    rows: int = 1,
    driver_limited: bool = False,
) -> Point:
    """The rounds with the figures that belong to them."""
    asked = f"r{rate:g}" if rate is not None else f"c{connections}"

    def median(measure: str, values: Sequence[float | None], unit: str) -> Figure:
        known = [value for value in values if value is not None]
        name = f"speed.{shape}.{asked}.n{rows}.{subject.name}.{measure}"
        value = statistics.median(known) if known else None
        return figure(name, value, unit, stand_in=subject.stand_in)

    sent = sum(one.sent for one in rounds)
    errors = sum(sum(one.errors.values()) for one in rounds)
    return Point(
        subject=subject.name,
        shape=shape,
        connections=connections,
        rate=rate,
        rows=rows,
        rounds=list(rounds),
        requests_per_s=median("requests_per_s", [o.requests_per_s for o in rounds], "requests/s"),
        p50=median("p50", [one.p50 for one in rounds], "ms"),
        p90=median("p90", [one.p90 for one in rounds], "ms"),
        p99=median("p99", [one.p99 for one in rounds], "ms"),
        p999=median("p999", [one.p999 for one in rounds], "ms"),
        error_share=median("error_share", [errors / sent if sent else None], ""),
        driver_limited=driver_limited,
    )


class Noise:
    """A machine and what it does to measurements; speeds are per subject and load.

    Every round of everything is faster or slower together (``drift``, which lasts for some rounds),
    every measurement by itself (``noise``, a standard deviation of logarithms), and tails once more
    and with outliers (``tail``).
    """

    def __init__(
        self, seed: int, noise: float = 0.1, drift: float = 0.1, tail: float = 0.15
    ) -> None:
        self.draw = np.random.default_rng(seed)
        self.noise, self.drift, self.tail = noise, drift, tail

    def points(
        self,
        subjects: Sequence[Subject],
        rounds: int,
        faster: Mapping[str, float] | None = None,
        added_ms: Mapping[str, float] | None = None,
    ) -> list[Point]:
        """All loads for all subjects, ``faster`` times as fast, or slowed by ``added_ms``."""
        found = []
        for load in LOADS:
            drift = np.exp(self._walk(rounds)).tolist()
            for subject in subjects:
                speed = (faster or {}).get(subject.name, 1.0)
                added = (added_ms or {}).get(subject.name, 0.0)
                measured = [self._round(load, factor / speed, added) for factor in drift]
                found.append(point(subject, measured, **load))
        return found

    def cost(self, id: str, value: float, unit: str, count: int) -> Figure:
        """Measured ``count`` times, with the lowest and the highest as its spread."""
        values = sorted((value * np.exp(self.noise * self.draw.standard_normal(count))).tolist())
        if count == 1:
            return figure(id, values[0], unit)
        return figure(id, statistics.median(values), unit, low=values[0], high=values[-1])

    def _walk(self, rounds: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        steps = self.drift * self.draw.standard_normal(rounds)
        for index in range(1, rounds):
            steps[index] += 0.7 * steps[index - 1]
        return steps

    def _round(self, load: Load, factor: float, added_ms: float) -> Round:
        clients = 4 if load.get("shape") == "open" else load["connections"]
        own = float(np.exp(self.noise * self.draw.standard_normal()))
        p50 = 0.3 * clients * factor * own + added_ms
        # The t-distribution with 3 degrees of freedom has no fourth moment: rounds with a stall.
        tail = float(np.exp(self.tail * self.draw.standard_t(3)))
        rps = load.get("rate") or 1000 * clients / p50
        jitter = float(np.exp(0.3 * self.noise * self.draw.standard_normal()))
        return one_round(rps * jitter, p50, 3 * p50 * tail)


def parity(
    candidate: Subject = ONNX,
    reference: Subject = TORCHSERVE,
    verdict: Verdict = "equivalent",
    *,
    within: float = 1.0,
    largest: float = 3.81e-06,
    suspects: Sequence[Suspect] = (),
    refused: int = 0,
) -> Parity:
    """What was found of two subjects of a lineage."""
    stand_in = candidate.stand_in or reference.stand_in
    name = f"parity.{candidate.lineage}.{reference.name}.{candidate.name}"
    return Parity(
        lineage=candidate.lineage,
        reference=reference.name,
        candidate=candidate.name,
        tolerance=1e-4,
        rows={"generated": 2000},
        refused=refused,
        verdict=verdict,
        evidence="2,000 rows were looked at",
        largest=figure(f"{name}.largest", largest, "lb", stand_in=stand_in),
        mean=figure(f"{name}.mean", largest / 3, "lb", stand_in=stand_in),
        within=figure(f"{name}.within", within, low=within * 0.998, high=1.0, stand_in=stand_in),
        suspects=list(suspects),
    )


def server(
    name: str, memory: float | Figure, first: float | Figure, install: float, **rest: Any
) -> Server:
    """What a server takes; a plain number has no spread."""
    stand_in = rest.get("stand_in")

    def of(what: str, value: float | Figure, unit: str) -> Figure:
        if isinstance(value, Figure):
            return value
        return figure(f"cost.{name}.{what}", value, unit, stand_in=stand_in)

    return Server(
        name=name,
        processes=[name],
        memory_idle=of("memory_idle", 50, "MB"),
        memory_loaded=of("memory_loaded", memory, "MB"),
        first_prediction=of("first_prediction", first, "s"),
        install=of("install", install, "MB"),
        artifact=of("artifact", 0.01, "MB"),
        **rest,
    )


def usage(subject: Subject, low: float, value: float, high: float) -> Usage:
    """CPU seconds per 1,000 predictions."""
    name = f"cost.{subject.name}.cpu_per_1000"
    cpu = figure(name, value, "s / 1,000", low=low, high=high, stand_in=subject.stand_in)
    return Usage(subject=subject.name, cpu=cpu, by_server={})


def results(
    points: Sequence[Point],
    parities: Sequence[Parity] | None = None,
    subjects: Sequence[Subject] = (ONNX, TORCHSERVE, DIRECT),
    servers: Sequence[Server] = (),
    used: Sequence[Usage] = (),
) -> Results:
    """The document, with every subject held against every other of its lineage."""
    by_name = {subject.name: subject for subject in subjects}
    parities = [parity()] if parities is None else parities
    pairs = [
        (by_name[one.candidate], other)
        for one in parities
        for other in subjects
        if other.name in (one.reference, f"{one.reference} direct")
    ]
    return Results(
        started="2026-01-01T00:00:00Z",
        seconds=60,
        model="weight-change",
        version="1",
        command="gateway compare",
        machine=Machine(processor="x", cores=2, memory_gb=4, system="x", python="x"),
        subjects=list(subjects),
        parity=list(parities),
        points=list(points),
        contrasts=contrasts(points, pairs),
        servers=list(servers),
        usage=list(used),
    )
