"""Rows for a model nobody has sent any for: drawn from its manifest, the example first."""

from __future__ import annotations

import numpy as np

from gateway.models.graph import DTYPES, Graph
from gateway.models.image_feature import row_shape
from gateway.models.manifest import Feature, Manifest
from gateway.models.rows import Array, Inputs, Rows

#: Rows, sequences, … of a tensor whose size varies.
_VARYING = 16
#: Where a number has no range.
_RANGE = (0.0, 1.0)
_WORDS = ("a", "b", "c", "d")


def draw_rows(manifest: Manifest, count: int, seed: int) -> Rows:
    """``count`` rows within the training ranges and categories; see :class:`Rows` for the dtypes.

    Numbers are uniform in their range, or 0 to 1; tensors standard normal, those of whole numbers
    0 or 1, which any table can be looked up with.
    """
    draw = np.random.default_rng(seed)
    columns = {one.name: _column(one, count, draw) for one in manifest.features}
    return Rows(columns, count)


def feeds(graph: Graph, rows: Rows) -> dict[str, Array]:
    """The rows as ``graph`` takes them: an array of the right dtype and rank per input."""
    inputs: Inputs = {
        name: (np.dtype(DTYPES[node.type]), len(node.shape)) for name, node in graph.inputs.items()
    }
    return rows.feeds(inputs)


def _column(feature: Feature, count: int, draw: np.random.Generator) -> Array:
    low, high = feature.range or _RANGE
    if feature.type == "tensor":
        return _tensor(feature, count, draw)
    if feature.type == "image":
        return draw.integers(0, 256, (count, *row_shape(feature))).astype(feature.element)
    if feature.type == "string":
        return np.array(draw.choice(feature.categories or _WORDS, count), dtype=object)
    if feature.type == "boolean":
        return draw.integers(0, 2, count).astype(np.bool_)
    if feature.type == "integer":
        return draw.integers(int(low), int(high), count, endpoint=True)
    return draw.uniform(low, high, count)


def _tensor(feature: Feature, count: int, draw: np.random.Generator) -> Array:
    shape = (count, *(size or _VARYING for size in feature.shape))
    if feature.element == "string":
        return np.array(draw.choice(_WORDS, shape), dtype=object)
    if np.dtype(feature.element).kind == "f":
        return draw.normal(size=shape).astype(feature.element)
    return draw.integers(0, 2, shape).astype(feature.element)
