"""What is measured: every row of the table of targets, gathered by what runs together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from loadtests.bench.bench import Bench
from loadtests.bench.report import Finding
from loadtests.bench.scenarios import compute, memory, protocols, proxied, single, sizes

Scenario = Callable[[Bench], Awaitable[list[Finding]]]

SCENARIOS: Mapping[str, Scenario] = {
    "onnx-64": single.busy,
    "onnx-1": single.lone,
    "rows-1024": sizes.large_body,
    "sizes": sizes.curve,
    "torchserve": proxied.torchserve,
    "tfserving": proxied.tfserving,
    "grpc": protocols.protocols,
    "compute": compute.compute,
    "memory": memory.memory,
}
