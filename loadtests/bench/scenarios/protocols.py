"""TensorFlow Serving by REST and by gRPC: the gateway's two adapters against one server.

They are called as the gateway calls them, in this process, on the client's core: what the gateway
does besides is the same for both.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gateway.backends.base import Backend, Target
from gateway.backends.tfserving import TFServingBackend
from gateway.backends.tfserving_grpc import TFServingGrpcBackend
from gateway.errors import GatewayError
from gateway.models.repository import Repository
from gateway.models.rows import Rows
from loadtests.bench.adapter import Asked, call_for, require_answer
from loadtests.bench.bench import Bench
from loadtests.bench.command import output_of
from loadtests.bench.compare import CPU, P50, compare
from loadtests.bench.endpoint import ANSWER
from loadtests.bench.errors import BenchError
from loadtests.bench.opponents import tfserving as tf
from loadtests.bench.opponents.opponent import PROGRAMS
from loadtests.bench.payload import draw_rows
from loadtests.bench.report import Entry, Finding
from serving.layout import SAVED_MODEL, TENSORFLOW, VERSION

_NAME = "grpc"
_ROWS = (1, 64, 1024)
_SHAPE = (3, 224, 224)
_IMAGES = "pixels"
#: Longer samples would say no more of a single caller.
_LONGEST_S, _WARM_S = 1.0, 0.2
_MANIFEST = {
    "name": _IMAGES,
    "features": [{"name": "image", "type": "tensor", "shape": _SHAPE}],
    "outputs": [{"name": "mean", "shape": _SHAPE[:1]}],
    "backends": {"tfserving": {"lineages": {"tensorflow": {"model": _IMAGES}}}},
}


async def protocols(bench: Bench) -> list[Finding]:
    """Latency and processor time of a call, by what it holds."""
    place = dataclasses.replace(bench.place, repository=await _repository(bench))
    server = tf.server(place)
    async with bench.fleet() as fleet:
        await fleet.start(tf.endpoint(server, place))
        try:
            adapters: dict[str, Backend] = {
                "REST": TFServingBackend(server.url),
                "gRPC": TFServingGrpcBackend(server.grpc_url),
            }
            try:
                everything = _asked(bench, Repository.scan(place.repository))
                for adapter in adapters.values():
                    for target in {asked.target for asked in everything}:
                        await adapter.load(target)
                mark = " [stand-in]" if server.stand_in else ""
                names = {by: f"TensorFlow Serving by {by}{mark}" for by in adapters}
                found = [
                    await _alternate(bench, adapters, names, asked, server.stand_in)
                    for asked in everything
                ]
            finally:
                for adapter in adapters.values():
                    await adapter.close()
        except GatewayError as error:
            raise BenchError(error.detail) from error
    return [finding for entries in found for finding in _findings(entries)]


async def _alternate(
    bench: Bench,
    adapters: dict[str, Backend],
    names: dict[str, str],
    asked: Asked,
    stand_in: bool,
) -> dict[str, Entry]:
    """Both adapters by turns, once a round, after their answers were found right."""
    entries = {
        by: Entry(
            scenario=_NAME, contestant=name, workload=asked.title, samples=[], stand_in=stand_in
        )
        for by, name in names.items()
    }
    for adapter in adapters.values():
        await require_answer(adapter, asked)
        await call_for(adapter, asked, _WARM_S)
    seconds = min(_LONGEST_S, bench.options.seconds)
    for number in range(bench.options.rounds):
        turns = list(adapters.items())
        for by, adapter in turns if number % 2 == 0 else reversed(turns):
            entries[by].samples.append(await call_for(adapter, asked, seconds))
            bench.progress(number, entries[by])
    bench.report.entries += entries.values()
    return entries


def _findings(entries: dict[str, Entry]) -> list[Finding]:
    ours, theirs = entries["gRPC"], entries["REST"]
    what = f"{ours.workload}: gRPC ÷ REST"
    return [
        compare(f"{what}, p50 of a call", _NAME, ours, theirs, None, P50),
        compare(f"{what}, the gateway's CPU time a call", _NAME, ours, theirs, None, CPU),
    ]


def _asked(bench: Bench, repository: Repository) -> Sequence[Asked]:
    """What is asked for, each with its answer."""
    example, pictures = _target(repository, bench.manifest.name), _target(repository, _IMAGES)
    found = []
    for count in _ROWS:
        rows = draw_rows(bench.manifest, count)
        values = np.array(bench.oracle.predict(TENSORFLOW, rows))
        title = f"{count:,} row{'s' if count > 1 else ''}"
        converted = example.model.validator.convert(list(rows))
        found.append(Asked(title, example, converted, ANSWER, values, bench.oracle.tolerance))
    image = np.random.default_rng(0).random((1, *_SHAPE), np.float32)
    title = f"a {'×'.join(map(str, image.shape))} image"
    means = image.mean((2, 3))
    found.append(Asked(title, pictures, Rows({"image": image}, 1), "mean", means, 1e-4))
    return found


def _target(repository: Repository, name: str) -> Target:
    model = repository.get(name)
    options = model.manifest.backends["tfserving"].lineages["tensorflow"]
    return Target("tfserving", model, "tensorflow", options)


async def _repository(bench: Bench) -> Path:
    """The example's model, and one that takes pictures; raises :class:`BenchError`."""
    folder = bench.place.run_dir / "protocols"
    example = bench.manifest.name
    await asyncio.to_thread(shutil.copytree, bench.place.repository / example, folder / example)
    (version := folder / _IMAGES / VERSION).mkdir(parents=True)
    (folder / _IMAGES / "model.yaml").write_text(json.dumps(_MANIFEST), encoding="utf-8")
    script, sizes = str(PROGRAMS / "saved_image.py"), map(str, _SHAPE[1:])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        script,
        str(version / SAVED_MODEL),
        *sizes,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = await output_of(process)
    if process.returncode != 0:
        words = output.decode(errors="replace").strip()[-500:]
        raise BenchError(f"the SavedModel that takes pictures cannot be made: {words}")
    return folder
