"""A model that computes: what HTTP, JSON and batching leave of a bare ``session.run`` loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from loadtests.bench.bare import run_bare
from loadtests.bench.bench import Bench
from loadtests.bench.compare import compare
from loadtests.bench.endpoint import Endpoint, one_object
from loadtests.bench.errors import BenchError
from loadtests.bench.fleet import Fleet
from loadtests.bench.opponents import gateway
from loadtests.bench.parity import require_parity
from loadtests.bench.probe import percentile, probe
from loadtests.bench.report import Entry, Finding, Target
from loadtests.bench.resnet import INPUT, OUTPUT, SHAPE, write_resnet
from loadtests.bench.samples import Series
from loadtests.bench.workload import Workload

_NAME = "compute"
_CONNECTIONS = 4
_IMAGES = 4
#: The gateway's: there is one core.
_THREADS = 1
#: Of scores around 1, from convolutions over batches of other sizes.
_TOLERANCE = 1e-3
_HEALTH_MS = 25
#: A shorter sample holds so few requests that those under way at its end would matter.
_SECONDS = 10
_NOTE = "The body is the image as JSON, 150,528 pixels of 0 to 255; the graph scales them."


async def compute(bench: Bench) -> list[Finding]:
    """Requests per second ÷ runs per second, and how long ``/healthz`` takes meanwhile."""
    options = bench.options
    seconds = options.seconds if options.quick else max(_SECONDS, options.seconds)
    path = await asyncio.to_thread(_write_model, bench.place.run_dir)
    images = np.random.default_rng(0).integers(0, 256, (_IMAGES, *SHAPE), dtype=np.uint8)
    np.save(tensor := path.with_name("image.npy"), images[:1])
    workload = Workload(_CONNECTIONS, [[{INPUT: image.tolist()}] for image in images])
    server = gateway.server(bench.place, repository=path)
    ours = Endpoint("gateway, ResNet-18", server, "/v1/predict", one_object, _scores, note=_NOTE)
    served = _entry(ours.title, workload.title, _NOTE)
    bare = _entry("bare session.run loop", "no HTTP")
    health: list[float] = []
    async with bench.fleet() as fleet:
        try:
            await fleet.start(ours)
            await require_parity(ours, workload, _expected(path, images), _TOLERANCE)
            await bench.warm(ours, workload)
            for number in range(options.rounds):
                for we in (True, False) if number % 2 == 0 else (False, True):
                    if we:
                        health += [await _serve(bench, fleet, ours, workload, served, seconds)]
                    else:
                        core = options.server_core
                        bare.samples += [await run_bare(path, tensor, _THREADS, seconds, core)]
                    bench.progress(number, served if we else bare)
        except BenchError as error:
            bench.absent(_NAME, ours.title, error)
    if len(health) < options.rounds or len(bare.samples) < options.rounds:
        return _findings(None, None, None)
    bench.report.entries += [served, bare]
    return _findings(served, bare, Series.of(health))


def _findings(served: Entry | None, bare: Entry | None, health: Series | None) -> list[Finding]:
    what = "ResNet-18-shaped net, 3×224×224: requests/s ÷ bare session.run on as many threads"
    return [
        compare(what, _NAME, served, bare, Target("≥", 0.9)),
        Finding(
            scenario=_NAME,
            what="/healthz p99 meanwhile",
            target=Target("≤", _HEALTH_MS, "ms"),
            figure=health,
            unit="ms p99",
            ours=health,
            remark="not measured" if health is None else "asked every 20 ms",
        ),
    ]


async def _serve(
    bench: Bench, fleet: Fleet, ours: Endpoint, workload: Workload, entry: Entry, seconds: float
) -> float:
    """Take a sample; the 99th percentile of ``/healthz`` in ms meanwhile."""
    probing = asyncio.create_task(probe(f"{ours.server.url}/healthz", seconds))
    try:
        await bench.measure(fleet, ours, entry, workload, seconds)
        return percentile(await probing, 99)
    finally:
        probing.cancel()


def _write_model(folder: Path) -> Path:
    path = folder / "resnet" / "resnet18.onnx"
    path.parent.mkdir(exist_ok=True)
    write_resnet(path)
    return path


def _expected(path: Path, images: np.ndarray[Any, Any]) -> list[float]:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (scores,) = session.run([OUTPUT], {INPUT: images})
    values: list[float] = scores.ravel().tolist()
    return values


def _scores(content: Any) -> Sequence[float]:
    return [score for row in content["predictions"] for score in row[OUTPUT]]


def _entry(contestant: str, workload: str, note: str = "") -> Entry:
    return Entry(scenario=_NAME, contestant=contestant, workload=workload, samples=[], note=note)
