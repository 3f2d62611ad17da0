"""Documents to be shown: one with everything in it, and one with nothing."""

from __future__ import annotations

import msgspec

from loadtests.compare.results import (
    Advice,
    Contrast,
    Machine,
    Results,
    Sentence,
)
from tests.loadtests.compare.report.findings import (
    alike,
    distance,
    locust_run,
    servers,
    unlike,
    usage,
)
from tests.loadtests.compare.report.points import SUBJECTS, contrasts_of, point


def machine() -> Machine:
    """The one the README's figures come from."""
    return Machine(
        processor="AMD EPYC",
        cores=2,
        memory_gb=8.2,
        system="Linux 6.18",
        python="3.11.7",
        packages={"aiohttp": "3.14.5", "onnxruntime": "1.31.1", "torch": "2.13.0"},
        pinned=True,
    )


def nothing() -> Results:
    """Nothing was measured."""
    return Results(
        started="2026-11-21T13:09:04Z",
        seconds=0.4,
        model="weight-change",
        version="1",
        command="gateway compare",
        machine=machine(),
        subjects=[],
    )


def full() -> Results:
    """Four ways to ask and a direct one, under every load, with everything there is to show."""
    points = [point(s, "closed", connections=c) for s in SUBJECTS for c in (1, 8, 64)]
    points += [point(s, "open", rate=r) for s in SUBJECTS for r in (200.0, 1000.0, 4000.0)]
    points += [point(s, "batch", rows=n) for s in SUBJECTS if not s.direct for n in (8, 128, 1024)]
    pairs = [(0, 1), (0, 2), (3, 4)]
    contrasts = [
        each
        for candidate, reference in pairs
        for each in contrasts_of(SUBJECTS[candidate], SUBJECTS[reference], points)
    ]
    return msgspec.structs.replace(
        nothing(),
        seconds=487.2,
        command="gateway compare --up --report out.html",
        subjects=SUBJECTS,
        parity=[
            alike("pytorch", "torchserve/pytorch", "onnx/pytorch"),
            unlike("tensorflow", "tfserving/tensorflow", "onnx/tensorflow"),
        ],
        distances=[distance()],
        points=points,
        contrasts=contrasts,
        servers=servers(),
        usage=[usage(subject) for subject in SUBJECTS],
        locust=[locust_run("onnx", 3100.0), locust_run("torchserve", 1500.0, failures=12)],
        advice=advice(contrasts),
        notes=["Images were not measured: no Docker engine answers."],
    )


def advice(contrasts: list[Contrast]) -> list[Advice]:
    """One that recommends a move, and one that is silent."""
    chosen = next(
        one
        for one in contrasts
        if one.connections == 64 and one.measure == "requests_per_s" and "direct" in one.reference
    )
    ratio = chosen.ratio
    assert ratio.value is not None
    assert ratio.low is not None
    assert ratio.high is not None
    return [
        Advice(
            lineage="pytorch",
            candidate="onnx/pytorch",
            reference="torchserve/pytorch",
            action="move",
            sentences=[
                Sentence(
                    "All answers agree within the tolerance: the largest difference is "
                    "3.81e-06 lb.",
                    ["parity.pytorch.onnx-pytorch.largest", "parity.pytorch.onnx-pytorch.within"],
                ),
                Sentence(
                    f"Through the gateway ONNX Runtime answered {ratio.value:.1f} times "
                    f"({ratio.low:.1f}–{ratio.high:.1f}) as many requests per second as "
                    "TorchServe asked directly, with 64 clients.",
                    [ratio.id],
                ),
                Sentence(
                    "It needs 99.8 MB of memory instead of 845 MB.",
                    ["cost.gateway.memory_loaded", "cost.torchserve.memory_loaded"],
                ),
            ],
        ),
        Advice(
            lineage="tensorflow",
            candidate="onnx/tensorflow",
            reference="tfserving/tensorflow",
            action="none",
            silent_because=[
                "TensorFlow Serving was not measured: a stand-in answered in its place"
            ],
        ),
    ]
