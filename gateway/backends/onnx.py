"""ONNX Runtime inside this process: raw features in, prediction out, in one graph."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Self

import msgspec

from gateway.backends.base import Backend, Call, Health, Target, conform
from gateway.config import Settings
from gateway.errors import BackendError, BackendTimeout, ModelError
from gateway.models.graph import Graph
from gateway.models.rows import Outputs, Rows, join

#: Rows of the run that shows what a row more costs.
_MANY_ROWS = 16
#: Seconds of a call beyond which rows are better sent in the next one: by then the call's fixed
#: cost is long earned, and clients that are answered together come back together, in a rush.
_MAX_CALL_S = 0.025


class OnnxOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``artifact`` is a graph from raw features to outputs; ``outputs`` renames its outputs."""

    artifact: str
    outputs: dict[str, str] = {}


class _Loaded:
    """A target's graph and what a call to it costs, measured on the manifest's example."""

    __slots__ = ("call_s", "graph", "names", "row_s")

    def __init__(self, graph: Graph, names: dict[str, str], call_s: float, row_s: float) -> None:
        self.graph = graph
        self.names = names
        self.call_s = call_s
        self.row_s = row_s


class OnnxBackend(Backend):
    """Runs each target's graph in an ONNX Runtime session of its own.

    A call that will take less than ``inline_limit_s`` seconds runs on the event loop's own thread,
    where it costs no hop; a longer one on a worker thread, so that the loop goes on answering.
    ``threads`` is the intra-op thread count of sessions whose calls are long, 0 for what the
    cgroup allows; short ones have a single thread, because waking others takes longer.
    """

    name = "onnx"

    def __init__(self, threads: int = 0, inline_limit_s: float = 0.002) -> None:
        self._threads = threads
        self._inline_limit_s = inline_limit_s
        self._loaded: dict[Target, _Loaded] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(settings.onnx_threads)

    async def load(self, target: Target) -> None:
        options = target.parse(OnnxOptions)
        path = target.model.artifact(options.artifact)
        graph = await asyncio.to_thread(Graph, path, 1)
        graph.check_inputs({feature.name for feature in target.model.manifest.features})
        rows = target.model.validator.convert([target.model.manifest.example])
        try:
            call_s = await asyncio.to_thread(_seconds, graph, rows)
            if call_s > self._inline_limit_s and self._threads != 1:
                graph = await asyncio.to_thread(Graph, path, self._threads)
                call_s = await asyncio.to_thread(_seconds, graph, rows)
            many = join([rows] * _MANY_ROWS)
            many_s = await asyncio.to_thread(_seconds, graph, many)
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            raise ModelError(f"{path.name}: it cannot run on the example: {error}") from error
        row_s = max(many_s - call_s, 0) / (_MANY_ROWS - 1)
        self._loaded[target] = _Loaded(graph, options.outputs, call_s, row_s)

    async def predict(self, target: Target, rows: Rows, call: Call) -> Outputs:
        if call.remaining <= 0:
            raise BackendTimeout(self.name, "the deadline passed before the prediction began")
        outputs = self.predict_now(target, rows)
        if outputs is None:
            outputs = await asyncio.to_thread(self._run, target, rows)
        return outputs

    def predict_now(self, target: Target, rows: Rows) -> Outputs | None:
        loaded = self._loaded[target]
        if loaded.call_s + rows.count * loaded.row_s > self._inline_limit_s:
            return None
        return self._run(target, rows)

    def max_rows(self, target: Target) -> int:
        loaded = self._loaded[target]
        spare_s = _MAX_CALL_S - loaded.call_s
        return max(1, int(spare_s / loaded.row_s)) if loaded.row_s else sys.maxsize

    def _run(self, target: Target, rows: Rows) -> Outputs:
        loaded = self._loaded[target]
        try:
            arrays = loaded.graph.run(rows)
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            raise BackendError(self.name, str(error)) from error
        return conform(target, arrays, rows.count, loaded.names)

    async def check(self, target: Target, call: Call) -> Health:
        loaded = target in self._loaded
        return Health(loaded, "" if loaded else "not loaded")

    async def unload(self, target: Target) -> None:
        self._loaded.pop(target, None)


def _seconds(graph: Graph, rows: Rows) -> float:
    """The shortest of a few runs, after one that warms the session up."""
    graph.run(rows)
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        graph.run(rows)
        taken.append(time.perf_counter() - started)
    return min(taken)
