"""ONNX Runtime inside this process: raw features in, prediction out, in one graph."""

from __future__ import annotations

from typing import Self

import msgspec

from gateway.backends.base import Backend, Call, Health, Target, conform
from gateway.config import Settings
from gateway.errors import BackendError, BackendTimeout
from gateway.models.graph import Graph
from gateway.models.rows import Outputs, Rows


class OnnxOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``artifact`` is a graph from raw features to outputs; ``outputs`` renames its outputs."""

    artifact: str
    outputs: dict[str, str] = {}


class OnnxBackend(Backend):
    """Runs each target's graph in an ONNX Runtime session of its own."""

    name = "onnx"

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads
        self._graphs: dict[Target, tuple[Graph, dict[str, str]]] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(settings.onnx_threads)

    async def load(self, target: Target) -> None:
        options = target.parse(OnnxOptions)
        graph = Graph(target.model.artifact(options.artifact), self._threads)
        graph.check_inputs({feature.name for feature in target.model.manifest.features})
        self._graphs[target] = graph, options.outputs

    async def predict(self, target: Target, rows: Rows, call: Call) -> Outputs:
        if call.remaining <= 0:
            raise BackendTimeout(self.name, "the deadline passed before the prediction began")
        graph, names = self._graphs[target]
        try:
            arrays = graph.run(rows)
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            raise BackendError(self.name, str(error)) from error
        return conform(target, arrays, rows.count, names)

    async def check(self, target: Target, call: Call) -> Health:
        loaded = target in self._graphs
        return Health(loaded, "" if loaded else "not loaded")

    async def unload(self, target: Target) -> None:
        self._graphs.pop(target, None)
