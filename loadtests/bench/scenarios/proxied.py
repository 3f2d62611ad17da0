"""TorchServe and the TensorFlow server: through the gateway and called directly."""

from __future__ import annotations

from loadtests.bench.bench import Bench
from loadtests.bench.compare import added, compare
from loadtests.bench.errors import BenchError
from loadtests.bench.opponents import gateway
from loadtests.bench.opponents import tfserving as tf
from loadtests.bench.opponents import torchserve as ts
from loadtests.bench.report import Finding, Target
from serving.launch import LaunchError

_BUSY = 64
_BATCH = 16
_ADDED = Target("≤", 0.5, "ms")


async def torchserve(bench: Bench) -> list[Finding]:
    """The gateway batches in front of a TorchServe that does not."""
    name = "torchserve"
    try:
        plain, batching = ts.server(bench.place, 1), ts.server(bench.place, _BATCH)
    except LaunchError as error:
        raise BenchError(str(error)) from error
    ours = gateway.endpoint(bench.place, "torchserve", [plain])
    direct, best = ts.endpoint(plain, 1), ts.endpoint(batching, _BATCH)
    async with bench.fleet() as fleet:
        contestants = [ours, direct, best]
        busy = await bench.compete(name, fleet, contestants, bench.workload(_BUSY))
        lone = await bench.compete(name, fleet, contestants, bench.workload(1))
    what = "through the gateway ÷ called directly"
    mine = busy.get(ours)
    return [
        compare(
            f"TorchServe (batch 1) {what}, {_BUSY} connections, requests/s",
            name,
            mine,
            busy.get(direct),
            Target("≥", 5),
        ),
        compare(
            f"the same ÷ TorchServe with its own batching ({_BATCH} rows, 1 ms)",
            name,
            mine,
            busy.get(best),
            Target("≥", 1.5),
        ),
        added(
            "TorchServe: p50 added by the gateway, 1 connection",
            name,
            lone.get(ours),
            lone.get(direct),
            _ADDED,
        ),
        added(
            "a lone request through the gateway − TorchServe with its own batching, p50",
            name,
            lone.get(ours),
            lone.get(best),
            _ADDED,
        ),
    ]


async def tfserving(bench: Bench) -> list[Finding]:
    """The gateway batches and preprocesses; called directly the client has preprocessed."""
    name = "tfserving"
    server = tf.server(bench.place)
    ours = gateway.endpoint(bench.place, "tfserving", [server])
    async with bench.fleet() as fleet:
        contestants = [ours, tf.endpoint(server, bench.place)]
        busy = await bench.compete(name, fleet, contestants, bench.workload(_BUSY))
        lone = await bench.compete(name, fleet, contestants, bench.workload(1))
    direct = contestants[1]
    told = "TensorFlow Serving's stand-in" if server.stand_in else "TensorFlow Serving"
    return [
        compare(
            f"{told} through the gateway ÷ called directly, {_BUSY} connections, requests/s",
            name,
            busy.get(ours),
            busy.get(direct),
            Target("≥", 1.5),
        ),
        added(
            f"{told}: p50 added by the gateway, 1 connection",
            name,
            lone.get(ours),
            lone.get(direct),
            _ADDED,
        ),
    ]
