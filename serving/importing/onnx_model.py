"""A ready ONNX file: checked, and described by its own inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
import onnx.compose

from gateway.errors import ModelError
from gateway.models.derive import LINEAGE, derive_manifest
from gateway.models.graph import DTYPES, Graph
from gateway.models.rows import Array
from serving.importing.errors import ImportRefused, refusing
from serving.importing.original import Candidate, Feeds, Original
from serving.importing.spec import Spec

#: What one protobuf file holds at most; beyond it the weights stand in files of their own.
_MAX_BYTES = 2**31 - 1


@dataclass
class OnnxModel(Original):
    """The graph of a file, run by ONNX Runtime itself, a row at a time.

    So parity says whether rows that are answered together get what each gets alone.
    """

    session: Graph
    wanted: tuple[str, ...]

    @classmethod
    def load(cls, path: Path, wanted: tuple[str, ...]) -> Self:
        """Check the file; `wanted` renames its outputs. Raises ImportRefused."""
        if not path.is_file():
            raise ImportRefused(f"{path}: there is no such file")
        with refusing(f"{path.name} is no valid ONNX graph"):
            onnx.checker.check_model(str(path))
        try:
            derived, session = derive_manifest(path), Graph(path, threads=1)
        except ModelError as error:
            raise ImportRefused(f"{path.name} cannot be served: {error.detail}") from error
        # Where no row it answers was found, as of a graph that knows some strings only, the
        # comparison shows what rows do to each other.
        tried = derived.warm_up or not _varies(session)
        if not derived.batched and tried:
            raise ImportRefused(
                f"{path.name} has no batch dimension; serve it as it is: gateway serve {path.name}"
            )
        if wanted and len(wanted) != len(session.outputs):
            raise ImportRefused(f"--output: {path.name} has the outputs {list(session.outputs)}")
        inputs = tuple(_spec(name, node) for name, node in session.inputs.items())
        return cls(
            "ONNX graph",
            LINEAGE,
            inputs,
            (path, *_external(path)),
            ("onnx", "onnxruntime"),
            session,
            wanted,
        )

    def answer(self, feeds: Feeds) -> dict[str, Array]:
        size = self.session.fixed_batch or 1
        count = len(next(iter(feeds.values())))
        parts: dict[str, list[Array]] = {name: [] for name in self.session.outputs}
        with refusing(f"{self.session.path.name} cannot run on the sample"):
            for row in range(count):
                one = {s.name: _batch(s, feeds[s.name][row : row + 1], size) for s in self.inputs}
                for name, answer in self.session.call(one, quiet=True).items():
                    parts[name].append(answer[:1])
        names = self.wanted or tuple(parts)
        with refusing(f"{self.session.path.name}: its outputs differ in shape from row to row"):
            stacked = [np.concatenate(answers) for answers in parts.values()]
        return dict(zip(names, stacked, strict=True))

    def candidates(self, feeds: Feeds) -> Iterator[Candidate]:
        model = read_graph(self.session.path)
        yield Candidate(rename_outputs(model, self.wanted) if self.wanted else model)

    def outputs_as_inputs(self) -> tuple[Spec, ...]:
        """What a network behind this graph takes."""
        return tuple(_spec(name, node) for name, node in self.session.outputs.items())


def read_graph(path: Path) -> onnx.ModelProto:
    """The graph in a file, with its external data; raises ImportRefused where it is too large."""
    total = path.stat().st_size + sum(file.stat().st_size for file in _external(path))
    if total > _MAX_BYTES:
        raise ImportRefused(
            f"{path.name} with its weights is over 2 GB; put it in a folder by hand, see the docs"
        )
    with refusing(f"{path.name} cannot be read"):
        return onnx.load(str(path))


def rename_outputs(model: onnx.ModelProto, names: tuple[str, ...]) -> onnx.ModelProto:
    """A graph whose outputs have these names, in order, by nodes that hand them on."""
    # The new names may be those of tensors within.
    renamed = onnx.compose.add_prefix(model, "model/", rename_inputs=False)
    for output, name in zip(renamed.graph.output, names, strict=True):
        renamed.graph.node.append(onnx.helper.make_node("Identity", [output.name], [name]))
        output.name = name
    return renamed


def _external(path: Path) -> tuple[Path, ...]:
    """The files beside a graph that hold its weights."""
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:
        raise ImportRefused(f"{path.name} is no ONNX file") from error
    names = {
        entry.value
        for tensor in model.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return tuple(path.parent / name for name in sorted(names))


def _varies(graph: Graph) -> bool:
    """Whether the first dimension of all inputs and outputs has no size of its own."""
    nodes = [*graph.inputs.values(), *graph.outputs.values()]
    return all(node.shape and not isinstance(node.shape[0], int) for node in nodes)


def _spec(name: str, node: Any) -> Spec:
    dtype = np.dtype(DTYPES[node.type])
    element: Any = "string" if dtype.kind == "O" else dtype.name
    shape = tuple(size if isinstance(size, int) else None for size in node.shape[1:])
    return Spec(name, element, shape)


def _batch(spec: Spec, row: Array, size: int) -> Array:
    """One row as the graph takes it, repeated to its fixed batch size."""
    dtype = np.dtype(object if spec.dtype == "string" else spec.dtype)
    sizes = row.shape[1:] if len(row.shape) - 1 == len(spec.shape) else (1,) * len(spec.shape)
    return np.repeat(row.astype(dtype).reshape(1, *sizes), size, axis=0)
