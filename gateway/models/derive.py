"""A manifest for a plain ``.onnx`` file, derived from the graph's inputs and outputs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from gateway.errors import ModelError
from gateway.models.declared import without_shape
from gateway.models.graph import DTYPES, Graph
from gateway.models.manifest import (
    MANIFEST_NAME,
    UNSPEAKABLE,
    BackendSpec,
    Feature,
    FeatureType,
    Manifest,
    Output,
    TensorType,
)
from gateway.models.probe import Arrays, answer, find_example, rows_are_independent
from gateway.models.rows import Array

#: The only lineage of a model nobody described.
LINEAGE = "original"

_WHOLE = "An instance is one call: its arrays go in, and come out, as they are."
_FIXED = "Its first dimension, which is always 1, is left out: an instance is one row of a batch."
_ROWS = (
    "Its first dimension is the batch: when it was tried, rows were answered together as each is "
    "alone."
)
_DEPENDENT = "What its first dimension holds is not answered together as each is alone."
_NO_EXAMPLE = "No example it answers was found, so nothing warms it up."


def derive_manifest(path: Path) -> Manifest:
    """Describe ``path`` by itself: each input a feature, each output an output.

    Where the first dimension of all of them is 1, or varies or is the same and rows do not depend
    on each other when the graph is run, it is the batch: an input of shape (batch,) or (batch, 1)
    is a scalar feature, any other a ``tensor``. Otherwise an instance is one call with whole
    arrays. Raises :class:`ModelError` where inputs or outputs are no tensors of a type JSON can
    carry, or an input has no shape.
    """
    graph = Graph(path, threads=1, batched=False)
    unknown = without_shape(path)
    for name in graph.inputs:
        if name in unknown:
            raise ModelError(
                f"{path.name}: input {name} declares no shape, so it may be a number or any array; "
                f"a manifest can say which ({MANIFEST_NAME}, with the feature's type and shape)"
            )
    for name, node in graph.outputs.items():
        if node.type not in DTYPES:
            raise ModelError(
                f"{path.name}: output {name} is a {node.type}, not a known tensor; converters can "
                "often leave it out, skl2onnx with the option zipmap=False"
            )
    example, plain = find_example(graph)
    batched, why = _batch(graph, example)
    if batched and example is not None:
        count = graph.inputs[next(iter(example))].shape[0]
        size = count if isinstance(count, int) else 1
        example = {name: np.repeat(array[:1], size, axis=0) for name, array in example.items()}
        example = None if answer(graph, example) is None else example
    names = _feature_names(list(graph.inputs))
    manifest = Manifest(
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:128] or "model",
        description=" ".join(
            [f"Derived from {path.name}.", *why, *([] if example is not None else [_NO_EXAMPLE])]
        ),
        features=tuple(
            _feature(
                names[name],
                DTYPES[node.type],
                _row_shape(node.shape, batched),
                None if plain or example is None else _row(example[name], batched),
            )
            for name, node in graph.inputs.items()
        ),
        outputs=tuple(
            Output(name, shape=_row_shape(node.shape, batched))
            for name, node in graph.outputs.items()
        ),
        backends={"onnx": BackendSpec({LINEAGE: _options(path, names)})},
        batched=batched,
        warm_up=example is not None,
    )
    manifest.check()
    return manifest


def _batch(graph: Graph, example: Arrays | None) -> tuple[bool, list[str]]:
    """Whether the first dimension is the batch, and why, in words."""
    nodes = [*graph.inputs.values(), *graph.outputs.values()]
    if not graph.inputs or not all(node.shape for node in nodes):
        return False, [_WHOLE]
    first = [node.shape[0] for node in nodes]
    if all(size == 1 for size in first):
        # What a file declares need not be so: outputs may depend on values as to their shape.
        outputs = None if example is None else answer(graph, example)
        if outputs is not None and all(len(array) == 1 for array in outputs.values()):
            return True, [_FIXED]
        return False, [_WHOLE]
    sizes = {size if isinstance(size, int) else None for size in first}
    if len(sizes) > 1 or 0 in sizes or example is None:
        return False, [_WHOLE]
    if rows_are_independent(graph, example, sizes.pop()):
        return True, [_ROWS]
    return False, [_DEPENDENT, _WHOLE]


def _feature_names(inputs: list[str]) -> dict[str, str]:
    """Names a payload can hold, by input; most are the input's own."""
    names: dict[str, str] = {}
    for theirs in inputs:
        name = UNSPEAKABLE.sub("_", theirs)
        taken = {"instances", "", *inputs, *names.values()} - {theirs} | {"instances", ""}
        while name in taken:
            name += "_"
        names[theirs] = name
    return names


def _options(path: Path, names: dict[str, str]) -> dict[str, Any]:
    renamed = {name: theirs for theirs, name in names.items() if name != theirs}
    return {"artifact": path.name} | ({"inputs": renamed} if renamed else {})


def _feature(name: str, dtype: type, row: tuple[int | None, ...], example: Array | None) -> Feature:
    kind = np.dtype(dtype).kind
    scalar: FeatureType = {"f": "number", "b": "boolean", "O": "string"}.get(kind, "integer")  # type: ignore[assignment]
    element: TensorType = "string" if kind == "O" else np.dtype(dtype).name  # type: ignore[assignment]
    value = None if example is None else example.reshape(example.shape if row else ()).tolist()
    return Feature(
        name,
        "tensor" if row else scalar,
        shape=row,
        dtype=element,
        example=value,
        finite=not row or kind != "f",
    )


def _row(array: Array, batched: bool) -> Array:
    row: Array = array[0] if batched else array
    return np.asarray(row, array.dtype)


def _row_shape(shape: list[Any], batched: bool) -> tuple[int | None, ...]:
    """A row's shape: without the batch dimension, and () for a single value of a batch."""
    sizes = tuple(size if isinstance(size, int) else None for size in shape)
    if not batched:
        return sizes
    return () if sizes[1:] == (1,) else sizes[1:]
