"""Opens ONNX Runtime sessions: which execution providers they get, and why not those asked for.

An execution provider is ONNX Runtime's word for what computes: the CPU, CUDA, OpenVINO, …  ONNX
Runtime itself replaces one that it cannot have by the CPU and goes on; here the reason is kept.
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import msgspec
import onnxruntime as ort

from gateway.errors import ModelError

CPU = "CPUExecutionProvider"
_CUDA = ("CUDAExecutionProvider", "TensorrtExecutionProvider")


class Placement(msgspec.Struct, frozen=True):
    """Which of ONNX Runtime's execution providers compute a graph.

    ``asked`` are those asked for, the best first, ``active`` those the session has, in its order.
    ``nodes`` says how many nodes of the optimized graph each computes; empty where only the CPU
    was asked for, or ONNX Runtime does not say. ``warnings`` tell of each provider that was asked
    for before the CPU and does not compute.
    """

    asked: tuple[str, ...]
    active: tuple[str, ...]
    nodes: dict[str, int]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The placement as it stands in JSON."""
        values = msgspec.structs.asdict(self).items()
        return {name: list(v) if isinstance(v, tuple) else v for name, v in values}


def open_session(
    path: Path, threads: int, providers: Sequence[str] = (CPU,), quiet: bool = False
) -> tuple[ort.InferenceSession, Placement]:
    """A session of ``path`` with ``threads`` intra-op threads on the first providers it can have.

    The CPU stands behind all others. Raises :class:`ModelError` where it cannot load the file
    either. ``quiet`` keeps ONNX Runtime from logging calls that fail.
    """
    there: list[str] = ort.get_available_providers()
    wanted = [name for name in providers if name in there and name != CPU]
    # The CPU's place is its own: what is named after it gets what it does not take.
    wanted.insert(len([n for n in takewhile(lambda n: n != CPU, providers) if n in there]), CPU)
    warnings = [
        f"{name} is not in this build of ONNX Runtime, which has {', '.join(there)}"
        for name in providers
        if name not in there
    ]
    missing = _preload(wanted)
    while True:
        try:
            session = _open(path, threads, wanted, quiet)
            break
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            # Its words hold the whole path, which is no business of those who may read the reason.
            words = str(error).replace(str(path), path.name)
            if wanted == [CPU]:
                raise ModelError(f"{path.name}: {words}") from error
            given_up = _blamed(words, [name for name in wanted if name != CPU])
            wanted.remove(given_up)
            warnings.append(f"{given_up} is left out: {_line(words)}")
    active: list[str] = session.get_providers()
    warnings += [
        f"ONNX Runtime left {name} out: {missing or 'its libraries or its device are missing'}"
        for name in wanted
        if name not in active
    ]
    nodes = {} if wanted == [CPU] else _nodes(session)
    warnings += _idle(wanted, active, nodes)
    return session, Placement(tuple(providers), tuple(active), nodes, tuple(warnings))


def _blamed(words: str, providers: Sequence[str]) -> str:
    """The provider an error names first; the first of all where it names none."""
    named = [name for name in providers if name in words]
    return min(named, key=words.index) if named else providers[0]


def _open(path: Path, threads: int, providers: list[str], quiet: bool) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take the CPU from the event loop and other workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4 if quiet else 3
    if providers != [CPU]:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    # With its fallback, a provider that fails is replaced by others than those asked for.
    return ort.InferenceSession(str(path), options, providers=providers, enable_fallback=0)


def _preload(wanted: Sequence[str]) -> str:
    """Load CUDA's libraries where they came as Python packages; what was missing, in one line."""
    if not any(name in _CUDA for name in wanted):
        return ""
    told = io.StringIO()
    # It prints what it cannot load, and raises nothing.
    with contextlib.redirect_stdout(told):
        ort.preload_dlls()
    return _line(told.getvalue())


def _nodes(session: ort.InferenceSession) -> dict[str, int]:
    try:
        assigned = session.get_provider_graph_assignment_info()
    except (AttributeError, RuntimeError):  # ONNX Runtime before 1.24
        return {}
    counted: Counter[str] = Counter()
    for part in assigned:
        counted[part.ep_name] += len(part.get_nodes())
    return dict(counted)


def _idle(wanted: Sequence[str], active: Sequence[str], nodes: Mapping[str, int]) -> list[str]:
    """A warning where no provider before the CPU computes anything, though the session has one."""
    before = [name for name in takewhile(lambda n: n != CPU, wanted) if name in active]
    if not before or not nodes or any(nodes.get(name) for name in before):
        return []
    others = ", ".join(f"{name} computes {count}" for name, count in nodes.items())
    return [f"{', '.join(before)}: computes no node of this graph; {others}"]


def _line(words: str) -> str:
    """The first line that says something."""
    return next((line.strip() for line in words.splitlines() if line.strip()), "")
