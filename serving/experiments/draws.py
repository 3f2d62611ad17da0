"""Rows for a model nobody has sent any for: drawn from its features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from gateway.models.image_feature import row_shape
from gateway.models.manifest import Feature, Manifest
from gateway.models.rows import Array, Rows
from gateway.models.validator import Validator

#: A row's shape by feature.
Shapes = Mapping[str, tuple[int, ...]]
_NO_SHAPES: Shapes = MappingProxyType({})

#: A size that varies, where nothing says which the model takes.
_VARYING = 16
#: Where a whole number has no range.
_RANGE = (0, 1)
_WORDS = ("a", "b", "c", "d")


def draw_rows(manifest: Manifest, count: int, seed: int) -> Rows:
    """``count`` rows of :func:`draw_columns` for a manifest's features.

    What varies in size has the size it has in the manifest's example: another the model may not
    take, and beside the example there would be no place for it. Raises :class:`InvalidInput` where
    that example does not fit the manifest.
    """
    shapes: Shapes = _NO_SHAPES
    if any(None in feature.shape for feature in manifest.features):
        example = Validator(manifest).convert([manifest.example]).columns
        shapes = {name: column.shape[1:] for name, column in example.items()}
    return Rows(draw_columns(manifest.features, count, seed, shapes), count)


def draw_columns(
    features: Sequence[Feature], count: int, seed: int, shapes: Shapes = _NO_SHAPES
) -> dict[str, Array]:
    """``count`` values of each feature, by its name; see :class:`Rows` for shapes and dtypes.

    All are within the training ranges and categories. Numbers are uniform in their range; without
    one they are standard normal, and so are tensors. Whole numbers without a range are 0 or 1,
    which any table can be looked up with.
    """
    draw = np.random.default_rng(seed)
    return {one.name: _column(one, count, draw, shapes.get(one.name)) for one in features}


def _column(
    feature: Feature, count: int, draw: np.random.Generator, row: tuple[int, ...] | None
) -> Array:
    if feature.type == "tensor":
        sizes = (_VARYING if size is None else size for size in feature.shape)
        return _tensor(feature, (count, *(sizes if row is None else row)), draw)
    if feature.type == "image":
        return draw.integers(0, 256, (count, *row_shape(feature))).astype(feature.element)
    if feature.type == "string":
        return np.array(draw.choice(feature.categories or _WORDS, count), dtype=object)
    if feature.type == "boolean":
        return draw.integers(0, 2, count).astype(np.bool_)
    if feature.type == "integer":
        low, high = feature.range or _RANGE
        return draw.integers(int(low), int(high), count, endpoint=True)
    if feature.range is not None:
        return draw.uniform(*feature.range, count)
    # Rounded as the graph will have them, so that they are the same to whoever gets them.
    return draw.normal(size=count).astype(feature.element).astype(np.float64)


def _tensor(feature: Feature, shape: tuple[int, ...], draw: np.random.Generator) -> Array:
    if feature.element == "string":
        return np.array(draw.choice(_WORDS, shape), dtype=object)
    if np.dtype(feature.element).kind == "f":
        return draw.normal(size=shape).astype(feature.element)
    return draw.integers(0, 2, shape).astype(feature.element)
