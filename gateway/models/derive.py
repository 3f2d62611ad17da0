"""A manifest for a plain ``.onnx`` file, derived from the graph's inputs and outputs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from gateway.errors import ModelError
from gateway.models.graph import DTYPES, Graph
from gateway.models.manifest import BackendSpec, Feature, FeatureType, Manifest, Output, TensorType

#: The only lineage of a model nobody described.
LINEAGE = "original"


def derive_manifest(path: Path) -> Manifest:
    """Describe ``path`` by itself: each input a feature, each output an output.

    The first dimension is the batch. An input of shape (batch,) or (batch, 1) is a scalar feature,
    any other a ``tensor``. Raises :class:`ModelError` where the graph cannot be described so.
    """
    graph = Graph(path, threads=1)
    manifest = Manifest(
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._") or "model",
        description=f"Derived from the inputs and outputs of {path.name}.",
        features=tuple(
            _feature(name, DTYPES[node.type], node.shape) for name, node in graph.inputs.items()
        ),
        outputs=tuple(
            Output(name, shape=_row_shape(node.shape)) for name, node in graph.outputs.items()
        ),
        backends={"onnx": BackendSpec({LINEAGE: {"artifact": path.name}})},
    )
    manifest.check()
    return manifest


def _feature(name: str, dtype: type, shape: list[Any]) -> Feature:
    if not shape:
        raise ModelError(f"input {name} is a scalar: it has no batch dimension")
    row = _row_shape(shape)
    kind = np.dtype(dtype).kind
    scalar: FeatureType = {"f": "number", "b": "boolean", "O": "string"}.get(kind, "integer")  # type: ignore[assignment]
    element: TensorType = "string" if kind == "O" else np.dtype(dtype).name  # type: ignore[assignment]
    return Feature(name, "tensor" if row else scalar, shape=row, dtype=element)


def _row_shape(shape: list[Any]) -> tuple[int | None, ...]:
    """A row's shape: without the batch dimension, and () for a single value."""
    row = tuple(size if isinstance(size, int) else None for size in shape[1:])
    return () if row == (1,) else row
