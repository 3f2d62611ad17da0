"""A model that computes: what HTTP, JSON and batching leave of a bare ``session.run`` loop."""

from __future__ import annotations

import asyncio
import base64
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
from loadtests.bench.payload import Row
from loadtests.bench.probe import percentile, probe
from loadtests.bench.report import Entry, Finding, Target
from loadtests.bench.resnet import INPUT, OUTPUT, SHAPE, write_resnet
from loadtests.bench.workload import Workload
from serving.spread import Spread

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
#: An image is 150,528 pixels of 0 to 255, which the graph scales.
_RAW_NOTE = "The body holds the pixels' bytes in base64."
_LIST_NOTE = "The body holds the pixels as nested lists of JSON numbers."


async def compute(bench: Bench) -> list[Finding]:
    """Requests per second ÷ runs per second, and how long ``/healthz`` takes meanwhile."""
    options = bench.options
    seconds = options.seconds if options.quick else max(_SECONDS, options.seconds)
    path = await asyncio.to_thread(_write_model, bench.place.run_dir)
    images = np.random.default_rng(0).integers(0, 256, (_IMAGES, *SHAPE), dtype=np.uint8)
    np.save(tensor := path.with_name("image.npy"), images[:1])
    workload = Workload(_CONNECTIONS, [[{INPUT: image.tolist()}] for image in images])
    server = gateway.server(bench.place, repository=path)
    endpoints = [
        Endpoint(title, server, "/v1/predict", encode, _scores, note=note)
        for title, encode, note in (
            ("gateway, ResNet-18, base64", _raw, _RAW_NOTE),
            ("gateway, ResNet-18, JSON numbers", one_object, _LIST_NOTE),
        )
    ]
    served = {ours: _entry(ours.title, workload.title, ours.note) for ours in endpoints}
    health: dict[Endpoint, list[float]] = {ours: [] for ours in endpoints}
    bare = _entry("bare session.run loop", "no HTTP")
    async with bench.fleet() as fleet:
        try:
            await fleet.start(endpoints[0])
            expected = _expected(path, images)
            for ours in endpoints:
                await require_parity(ours, workload, expected, _TOLERANCE)
            await bench.warm(endpoints[0], workload)
            for number in range(options.rounds):
                turns: list[Endpoint | None] = [None, *endpoints]
                for turn in turns if number % 2 == 0 else reversed(turns):
                    if turn is None:
                        core = options.server_core
                        bare.samples += [await run_bare(path, tensor, _THREADS, seconds, core)]
                        bench.progress(number, bare)
                    else:
                        entry = served[turn]
                        health[turn] += [await _serve(bench, fleet, turn, workload, entry, seconds)]
                        bench.progress(number, entry)
        except BenchError as error:
            bench.absent(_NAME, endpoints[0].title, error)
            return [f for ours in endpoints for f in _findings(ours.title, None, None, None)]
    bench.report.entries += [*served.values(), bare]
    return [
        finding
        for ours in endpoints
        for finding in _findings(ours.title, served[ours], bare, Spread.of(health[ours]))
    ]


def _findings(
    title: str, served: Entry | None, bare: Entry | None, health: Spread | None
) -> list[Finding]:
    what = f"{title}: requests/s ÷ bare session.run on as many threads"
    return [
        compare(what, _NAME, served, bare, Target("≥", 0.9)),
        Finding(
            scenario=_NAME,
            what=f"{title}: /healthz p99 meanwhile",
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


def _raw(rows: Sequence[Row]) -> Any:
    """The tensor's bytes, as the gateway takes them beside nested lists."""
    (row,) = rows
    content = base64.b64encode(np.array(row[INPUT], np.uint8).tobytes())
    return {INPUT: {"b64": content.decode()}}


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
