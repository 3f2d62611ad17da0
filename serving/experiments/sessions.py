"""ONNX Runtime sessions as the experiments need them, and what can be read from a graph's file."""

from __future__ import annotations

import json
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from gateway.inspection.structure import nodes_of
from gateway.models.rows import Array
from serving.differences import largest
from serving.experiments.errors import NotMeasured

CPU = "CPUExecutionProvider"
Feeds = Mapping[str, Array]


def make_session(
    path: Path,
    threads: int = 1,
    level: ort.GraphOptimizationLevel | None = None,
    write_to: Path | None = None,
    provider: str = CPU,
    profile: Path | None = None,
) -> ort.InferenceSession:
    """A session of ``path`` with optimizations up to ``level``, None for ONNX Runtime's default.

    ``write_to`` gets the optimized graph, ``profile`` is how the profile's file name begins.

    Raises:
        NotMeasured: ONNX Runtime refuses the graph, or has left ``provider`` out.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if level is not None:
        options.graph_optimization_level = level
    if write_to is not None:
        options.optimized_model_filepath = str(write_to)
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    try:
        # Without enable_fallback=0 a provider that fails is replaced by the CPU's.
        session = ort.InferenceSession(str(path), options, providers=[provider], enable_fallback=0)
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        words = str(error).replace(str(path), path.name).splitlines()
        raise NotMeasured(f"{path.name}: {words[0] if words else type(error).__name__}") from error
    if provider not in session.get_providers():
        raise NotMeasured("ONNX Runtime made the session without it")
    return session


def caller(session: ort.InferenceSession, feeds: Feeds) -> Callable[[], list[Array]]:
    """A call of the session with these inputs; it answers all outputs."""
    wanted = [output.name for output in session.get_outputs()]

    def call() -> list[Array]:
        answers: list[Array] = session.run(wanted, feeds)
        return answers

    return call


def providers_of_nodes(path: Path, provider: str, feeds: Feeds) -> dict[str, int]:
    """Which provider runs how many nodes when a session is asked for ``provider``; one run says.

    Raises:
        NotMeasured: there is no such session.
    """
    with tempfile.TemporaryDirectory() as folder:
        session = make_session(path, provider=provider, profile=Path(folder) / "profile")
        caller(session, feeds)()
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    ran = {
        (event["name"], event["args"]["provider"])
        for event in events
        if event.get("cat") == "Node" and event.get("args", {}).get("provider")
    }
    return dict(Counter(provider for _, provider in ran))


def operators(path: Path) -> dict[str, int]:
    """How many nodes of each type a graph's file holds, most first, its subgraphs' included."""
    model = onnx.load(str(path), load_external_data=False)
    counted = Counter(node.op_type for node in nodes_of(model))
    return dict(counted.most_common())


def largest_difference(answers: list[Array], reference: list[Array]) -> float:
    """The largest absolute difference of two runs' outputs; nan equals nan.

    Infinite where shapes differ, where something that is no number differs, or where only one of
    two is finite.
    """
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(answers, reference, strict=True)]
    return max(
        (largest(one, other) if one.shape == other.shape else math.inf for one, other in pairs),
        default=0.0,
    )
