"""What else than speed was found, for documents to be shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import msgspec

from loadtests.compare.results import (
    Distance,
    Figure,
    Histogram,
    LocustRun,
    Parity,
    Server,
    Subject,
    Suspect,
    Tick,
    Usage,
    Worst,
)
from tests.loadtests.compare.report.points import STAND_IN, figure

PAYLOAD = {
    "age": 22,
    "gender": "F",
    "current_weight": 155,
    "bmr": 1300.0,
    "daily_calories_consumed": 1600.0,
    "physical_activity_level": "Very Active",
}


def alike(lineage: str, reference: str, candidate: str) -> Parity:
    """A pair that is equivalent."""
    edges = [10 ** (-9 + i / 4) for i in range(29)]
    counts = [int(320 * math.exp(-(((i - 10) / 3.5) ** 2))) if i < 18 else 0 for i in range(28)]
    make = partial(_of, lineage, candidate, None)
    return Parity(
        lineage=lineage,
        reference=reference,
        candidate=candidate,
        tolerance=1e-4,
        rows={"examples": 3, "edges": 58, "generated": 2000},
        refused=0,
        verdict="equivalent",
        evidence="2,061 of 2,061 rows within 0.0001 lb; largest difference 3.81e-06 lb.",
        largest=make("largest", 3.81e-6, "lb"),
        mean=make("mean", 4.2e-7, "lb", 0.05),
        within=msgspec.structs.replace(make("within", 1.0, ""), low=0.9981, high=1.0),
        worst=Worst(
            payload=PAYLOAD,
            output="weight_change",
            reference=-16.70161819458,
            candidate=-16.70162200928,
            difference=3.81e-6,
        ),
        histogram=Histogram(edges=edges, counts=counts, zeros=411),
    )


def unlike(lineage: str, reference: str, candidate: str) -> Parity:
    """A pair whose one side takes the logarithm of calories; a stand-in is part of it."""
    edges = [10 ** (-9 + i / 4) for i in range(45)]
    counts = [int(260 * math.exp(-(((i - 36) / 4) ** 2))) for i in range(44)]
    make = partial(_of, lineage, candidate, STAND_IN)
    return Parity(
        lineage=lineage,
        reference=reference,
        candidate=candidate,
        tolerance=1e-4,
        rows={"examples": 3, "edges": 58, "generated": 2000},
        refused=2,
        verdict="not equivalent",
        evidence="12 of 2,061 rows within 0.0001 lb; largest difference 14.2 lb.",
        largest=make("largest", 14.2, "lb"),
        mean=make("mean", 3.37, "lb", 0.04),
        within=msgspec.structs.replace(make("within", 12 / 2061, ""), low=0.0033, high=0.0101),
        labels=make("labels", 0.981, ""),
        worst=Worst(
            payload=PAYLOAD,
            output="weight_change",
            reference=-16.7,
            candidate=-2.5,
            difference=14.2,
        ),
        histogram=Histogram(edges=edges, counts=counts, zeros=12),
        suspects=[
            Suspect(
                feature="daily_calories_consumed",
                share=0.93,
                mismatch=0.98,
                named=True,
                words="onnx/tensorflow hardly reacts to daily_calories_consumed: 0.2 % of the "
                "reaction of tfserving/tensorflow",
            ),
            Suspect(feature="bmr", share=0.06, mismatch=0.04, named=False),
            Suspect(feature="age", share=0.01, mismatch=0.02, named=False),
        ],
    )


def servers() -> list[Server]:
    """The gateway, a real server and a stand-in."""
    return [
        _server("gateway", ["gateway"], (78.0, 99.8), 0.62, 141.0, 0.012),
        _server("torchserve", ["java", "python: worker"], (712.0, 845.0), 9.4, 1320.0, 0.021),
        _server("tfserving", ["python: stand-in"], (402.0, 455.0), 4.1, 1890.0, 0.094, STAND_IN),
    ]


def distance() -> Distance:
    """Between the two networks of the example."""
    make = partial(_of, "distance", "onnx/pytorch", None)
    return Distance(
        one="onnx/pytorch",
        other="onnx/tensorflow",
        rows=2061,
        largest=make("largest", 6.1, "lb"),
        mean=make("mean", 0.92, "lb", 0.03),
    )


def usage(subject: Subject) -> Usage:
    """CPU time by server."""
    own = {"onnx": 0.0, "torchserve": 0.41, "tfserving": 0.29}[subject.backend]
    parts = {"gateway": 0.0 if subject.direct else 0.035, subject.backend: own}
    total = sum(parts.values())
    make = partial(figure, "cost", subject.name, stand_in=subject.stand_in)
    return Usage(
        subject=subject.name,
        cpu=make("cpu_per_1000", value=total, unit="s / 1,000", spread=0.07),
        by_server={name: seconds for name, seconds in parts.items() if seconds},
        price=make("price", value=total * 1000 / 3600 * 0.04, unit="per million", spread=0.07),
    )


def locust_run(backend: str, per_s: float, failures: int = 0) -> LocustRun:
    """Ten seconds with a ramp at the beginning."""
    make = partial(figure, "locust", backend)
    return LocustRun(
        backend=backend,
        users=16,
        shape="steady",
        seconds=10.0,
        requests=int(per_s * 9.2),
        failures=failures,
        requests_per_s=make("requests_per_s", value=per_s, unit="requests/s"),
        p50=make("p50", value=16000 / per_s, unit="ms"),
        p95=make("p95", value=26000 / per_s, unit="ms"),
        p99=make("p99", value=41000 / per_s, unit="ms"),
        history=[_tick(second, per_s) for second in range(1, 11)],
    )


def _tick(second: int, per_s: float) -> Tick:
    reached = per_s * (1 - math.exp(-second / 1.2)) * (1 + 0.04 * math.sin(second * 2.1))
    return Tick(
        at_s=float(second),
        users=min(16, second * 8),
        requests_per_s=reached,
        failures_per_s=0.0,
        p50=16000 / per_s,
        p95=26000 / per_s * (1 + 0.12 * math.sin(second)),
    )


def _server(
    name: str,
    processes: list[str],
    memory: tuple[float, float],
    cold: float,
    install: float,
    artifact: float,
    stand_in: str | None = None,
) -> Server:
    make: Callable[..., Figure] = partial(figure, "cost", name, stand_in=stand_in)
    return Server(
        name=name,
        processes=processes,
        memory_idle=make("memory_idle", value=memory[0], unit="MB"),
        memory_loaded=make("memory_loaded", value=memory[1], unit="MB"),
        first_prediction=make(
            "first_prediction",
            value=cold,
            unit="s",
            spread=0.08,
            remark="lowest–highest of 3 starts",
        ),
        install=make(
            "install", value=install, unit="MB", remark="torch 612, tensorflow 498, numpy 41"
        ),
        artifact=make("artifact", value=artifact, unit="MB"),
        stand_in=stand_in,
    )


def _of(
    lineage: str,
    candidate: str,
    stand_in: str | None,
    measure: str,
    value: float,
    unit: str,
    spread: float = 0.0,
) -> Figure:
    return figure(
        "parity",
        lineage,
        candidate,
        measure,
        value=value,
        unit=unit,
        spread=spread,
        stand_in=stand_in,
    )
