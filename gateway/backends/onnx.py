"""ONNX Runtime inside this process: raw features in, prediction out, in one graph."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import msgspec
import onnxruntime as ort

from gateway.backends.base import Backend, Call, Health, Target, conform
from gateway.config import Settings
from gateway.errors import (
    BackendError,
    BackendTimeout,
    ConfigError,
    GatewayError,
    InputRefused,
    ModelError,
    shorten,
)
from gateway.logs import logger
from gateway.models.example import example_rows
from gateway.models.graph import DTYPES, Graph
from gateway.models.manifest import Manifest
from gateway.models.refusal import refusal
from gateway.models.rows import Outputs, Rows, join
from gateway.models.session import CPU

#: Rows of the run that shows what a row more costs.
_MANY_ROWS = 16
#: Seconds of a call beyond which rows are better sent in the next one: by then the call's fixed
#: cost is long earned, and clients that are answered together come back together, in a rush.
_MAX_CALL_S = 0.025


class OnnxOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``artifact`` is a graph from raw features to outputs.

    ``inputs`` says what the graph calls a feature, ``outputs`` what it calls an output, where that
    is not its name.
    """

    artifact: str
    inputs: dict[str, str] = {}
    outputs: dict[str, str] = {}

    def open(
        self, path: Path, manifest: Manifest, threads: int = 1, providers: Sequence[str] = (CPU,)
    ) -> Graph:
        """The graph in ``path``, which takes a manifest's rows; raises as :class:`Graph` does."""
        return Graph(
            path, threads, providers=providers, batched=manifest.batched, names=self.inputs
        )


class _Loaded:
    """A target's graph and what a call to it costs, measured on the manifest's example.

    ``call_s`` is infinite where the example says nothing of other rows, because they vary in size.
    ``answered`` says that the graph has answered something.
    """

    __slots__ = ("answered", "call_s", "graph", "max_rows", "names", "row_s")

    def __init__(
        self, graph: Graph, names: dict[str, str], call_s: float, row_s: float, varies: bool
    ) -> None:
        self.graph = graph
        self.answered = call_s < math.inf
        self.names = names
        self.call_s = math.inf if varies else call_s
        self.row_s = row_s
        #: Without a batch dimension there is nothing to gain from waiting for others.
        self.max_rows = _max_rows(call_s, row_s) if graph.batched else 1


class OnnxBackend(Backend):
    """Runs each target's graph in an ONNX Runtime session of its own.

    A call that will take less than ``inline_limit_s`` seconds runs on the event loop's own thread,
    where it costs no hop; a longer one on a worker thread, so that the loop goes on answering.
    ``threads`` is the intra-op thread count of sessions whose calls are long, 0 for what the
    cgroup allows; short ones have a single thread, because waking others takes longer.
    ``providers`` are the execution providers asked for, the best first; where another computes
    instead, the log, :meth:`check` and :meth:`facts` say so and why.
    """

    name = "onnx"

    def __init__(
        self, threads: int = 0, inline_limit_s: float = 0.002, providers: Sequence[str] = (CPU,)
    ) -> None:
        self._threads = threads
        self._providers = tuple(providers)
        self._inline_limit_s = inline_limit_s
        self._loaded: dict[Target, _Loaded] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        known = ort.get_all_providers()
        for name in settings.providers:
            if name not in known:
                raise ConfigError(
                    f"onnx_providers: there is no {shorten(name)!r}; allowed: {', '.join(known)}"
                )
        return cls(settings.onnx_threads, providers=settings.providers)

    async def load(self, target: Target) -> None:
        try:
            await self._load(target, self._providers)
        except ModelError as error:
            if self._providers == (CPU,):
                raise
            # It may be a provider that fails, for one for lack of memory; else this raises, too.
            await self._load(target, (CPU,))
            graph = self._loaded[target].graph
            words = f"left to the CPU: {error.detail}"
            graph.placement = msgspec.structs.replace(
                graph.placement, asked=self._providers, warnings=(words,)
            )
        where = f"{target.model.name}/{target.model.version}, {target.lineage}"
        for words in self._loaded[target].graph.placement.warnings:
            logger.warning("onnx_providers: %s: %s", where, words)

    async def _load(self, target: Target, providers: Sequence[str]) -> None:
        options = target.parse(OnnxOptions)
        path = target.model.artifact(options.artifact)
        manifest = target.model.manifest
        make = partial(options.open, path, manifest, providers=providers)
        graph = await asyncio.to_thread(make, 1)
        _check(graph, manifest, options.outputs)
        call_s = row_s = math.inf
        if manifest.warm_up:
            rows = await _example(target)
            try:
                call_s = await asyncio.to_thread(_seconds, graph, rows)
                if call_s > self._inline_limit_s and self._threads != 1:
                    del graph  # its weights may be large: not twice at a time
                    graph = await asyncio.to_thread(make, self._threads)
                    call_s = await asyncio.to_thread(_seconds, graph, rows)
                row_s = await asyncio.to_thread(_row_seconds, graph, rows, call_s)
            except Exception as error:  # ONNX Runtime's exceptions share no base of their own
                raise ModelError(f"{path.name}: it cannot run on the example: {error}") from error
        elif self._threads != 1:
            graph = await asyncio.to_thread(make, self._threads)
        varies = any(None in feature.shape for feature in manifest.features)
        self._loaded[target] = _Loaded(graph, options.outputs, call_s, row_s, varies)

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
        return self._loaded[target].max_rows

    def _run(self, target: Target, rows: Rows) -> Outputs:
        loaded = self._loaded[target]
        try:
            arrays = loaded.graph.run(rows)
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            proven = loaded.answered and loaded.graph.placement.active == (CPU,)
            refused = refusal(error, proven)
            if refused is not None:
                raise InputRefused(self.name, refused) from error
            raise BackendError(self.name, str(error)) from error
        loaded.answered = True
        return conform(target, arrays, rows.count, loaded.names)

    async def check(self, target: Target, call: Call) -> Health:
        loaded = self._loaded.get(target)
        if loaded is None:
            return Health(False, "not loaded")
        return Health(True, "; ".join(loaded.graph.placement.warnings))

    def facts(self, target: Target) -> Mapping[str, Any]:
        """``providers``: those asked for, those there are and their nodes, and what is amiss."""
        loaded = self._loaded.get(target)
        return {} if loaded is None else {"providers": loaded.graph.placement.as_dict()}

    async def unload(self, target: Target) -> None:
        self._loaded.pop(target, None)


def _check(graph: Graph, manifest: Manifest, names: dict[str, str]) -> None:
    """Raise :class:`ModelError` unless the graph takes and gives what the manifest says."""
    graph.check_inputs({feature.name for feature in manifest.features}, manifest.gaps)
    for spec in manifest.outputs:
        node = graph.outputs.get(names.get(spec.name, spec.name))
        if node is not None and node.type not in DTYPES:
            raise ModelError(
                f"{graph.path.name}: output {node.name} is a {node.type}, not a known tensor"
            )


async def _example(target: Target) -> Rows:
    """The manifest's example; raises :class:`ModelError` where it is not what the model takes."""
    try:
        return await example_rows(target.model)
    except GatewayError as error:
        raise ModelError(f"the manifest's example: {error.detail}") from error


def _row_seconds(graph: Graph, rows: Rows, call_s: float) -> float:
    """Seconds a further row of a call takes."""
    if graph.fixed_batch == 1 or not graph.batched:
        return call_s
    many_s = _seconds(graph, join([rows] * _MANY_ROWS))
    return max(many_s - call_s, 0) / (_MANY_ROWS - 1)


def _max_rows(call_s: float, row_s: float) -> int:
    """Rows beyond which a call takes longer than it should; no bound where nothing is known."""
    if not 0 < row_s < math.inf:
        return sys.maxsize
    return max(1, int((_MAX_CALL_S - call_s) / row_s))


def _seconds(graph: Graph, rows: Rows) -> float:
    """The shortest of a few runs, after one that warms the session up."""
    graph.run(rows)
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        graph.run(rows)
        taken.append(time.perf_counter() - started)
    return min(taken)
