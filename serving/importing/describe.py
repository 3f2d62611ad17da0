"""From what a model takes, and sample rows, to the features of its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import msgspec
import numpy as np

from gateway.models.manifest import Feature, FeatureType, TensorType
from gateway.models.rows import Array
from serving.experiments.draws import draw_columns
from serving.importing.errors import ImportRefused
from serving.importing.front import joined
from serving.importing.original import Original
from serving.importing.sample import Sample
from serving.importing.spec import Spec

#: Rows that go through the original and the graph; more only take longer.
MAX_ROWS = 1_000
#: Rows that are drawn where there is no sample, and the seed of that.
_DRAWN, _SEED = 64, 1
#: Elements of a tensor up to which the manifest shows an example of it.
_SHOWN = 32
#: The same for one that varies in shape, where the example also says which shape is usual.
_SHOWN_VARYING = 4_096


@dataclass(frozen=True)
class Description:
    """The model, perhaps with its columns joined before it, its features, and rows to try.

    `seen` are the lowest and highest value of each number in the whole sample, empty where the
    rows are generated; `skipped` counts rows in which a value is missing or infinite.
    """

    original: Original
    features: tuple[Feature, ...]
    seen: Mapping[str, tuple[float, float]]
    columns: Mapping[str, Array]
    skipped: int = 0


def describe(original: Original, sample: Sample | None, targets: tuple[str, ...]) -> Description:
    """Match the sample's columns with the model's inputs; raises ImportRefused where they differ.

    `targets` are columns of the sample that are no features. A flat tensor of numbers becomes a
    feature per column, where its columns have names.
    """
    if sample is None:
        original = _joined(original, ())
        plain = tuple(_feature(spec, None) for spec in original.inputs)
        rows = draw_columns(plain, _DRAWN, _SEED)
        features = tuple(
            _shown(feature, rows[feature.name] if None in feature.shape else None)
            for feature in plain
        )
        return Description(original, features, {}, rows)
    absent = [name for name in targets if name not in sample.columns]
    if absent:
        raise ImportRefused(
            f"--target {absent[0]}: the sample has only {', '.join(sample.columns)}"
        )
    given = tuple(name for name in sample.columns if name not in targets)
    arrays = {name for name in given if isinstance(sample.columns[name], np.ndarray)}
    original = original if arrays else _joined(original, given)
    names = [spec.name for spec in original.inputs]
    missing = [name for name in names if name not in given]
    if missing:
        raise ImportRefused(
            f"{sample.path.name} has no column {missing[0]!r}; the model takes {_list(names)}, the"
            f" sample has {_list(given)}"
        )
    columns, skipped = _read(sample, original.inputs)
    features = tuple(_feature(spec, columns[spec.name]) for spec in original.inputs)
    seen = {
        feature.name: (float(columns[feature.name].min()), float(columns[feature.name].max()))
        for feature in features
        if feature.type in ("integer", "number")
    }
    chosen = _chosen(columns, features)
    return Description(original, features, seen, chosen, skipped)


def with_number(features: tuple[Feature, ...], number: TensorType) -> tuple[Feature, ...]:
    """The features with numbers of another dtype than float32."""
    if number == "float32":
        return features
    return tuple(
        msgspec.structs.replace(f, dtype=number) if f.type == "number" else f for f in features
    )


def _read(sample: Sample, inputs: tuple[Spec, ...]) -> tuple[dict[str, Array], int]:
    """The rows that can be sent: none of their values is missing, or no known category."""
    columns, skipped = sample.read({spec.name: spec.dtype == "string" for spec in inputs})
    for spec in inputs:
        column = columns[spec.name]
        if spec.scalar and column.ndim == 2 and column.shape[1] == 1:
            columns[spec.name] = column[:, 0]
    known = np.ones(len(next(iter(columns.values()))), bool)
    for spec in inputs:
        if spec.categories is not None:
            known &= np.isin(columns[spec.name].astype(str), spec.categories)
    if not known.any():
        raise ImportRefused(f"{sample.path.name}: no row holds only categories the model knows")
    return {name: column[known] for name, column in columns.items()}, skipped + int((~known).sum())


def _joined(original: Original, given: tuple[str, ...]) -> Original:
    """The model with an input per column, where it takes one flat tensor whose columns have names.

    The names are the model's own, else the sample's where the number of columns is the same.
    """
    if len(original.inputs) != 1:
        return original
    (spec,) = original.inputs
    if len(spec.shape) != 1 or spec.shape == (1,) or spec.dtype == "string":
        return original
    if not spec.columns and not given:
        return original
    names = spec.columns or given
    width = spec.shape[0] if spec.shape[0] is not None else len(names)
    if len(names) != width:
        raise ImportRefused(
            f"the model takes {width} columns, the sample has {len(names)}: {_list(names)}; leave"
            " out what is no feature with --target NAME"
        )
    original.inputs = (replace(spec, columns=names),)
    return joined(original)


def _feature(spec: Spec, column: Array | None) -> Feature:
    if not spec.scalar:
        _check_shape(spec, column)
        return _shown(Feature(spec.name, "tensor", shape=spec.shape, dtype=spec.dtype), column)
    kind = spec.kind
    if column is not None and kind != "O":
        if column.dtype.kind not in "iufb":
            raise ImportRefused(
                f"column {spec.name} holds text; the model takes {spec.text}: give the graph that"
                " encodes it with --preprocess, or leave it out with --target"
            )
        if kind in "iu" and column.dtype.kind == "f":
            raise ImportRefused(f"column {spec.name} must hold whole numbers: {spec.text}")
        kind = "i" if kind in "iu" else column.dtype.kind
    types = {"f": "number", "b": "boolean", "O": "string", "i": "integer", "u": "integer"}
    feature = Feature(spec.name, cast("FeatureType", types[kind]), categories=spec.categories)
    # A whole number may go into a float; the graph's own dtype counts where it bounds the value.
    element_kind = np.dtype(feature.element if kind != "O" else object).kind
    if element_kind == spec.kind or {element_kind, spec.kind} == {"i", "u"}:
        dtype = None if feature.element == spec.dtype else spec.dtype
        feature = msgspec.structs.replace(feature, dtype=dtype)
    return _shown(feature, column)


def _shown(feature: Feature, column: Array | None) -> Feature:
    """The feature with the first row's value as its example, unless that is a large tensor."""
    limit = _SHOWN_VARYING if None in feature.shape else _SHOWN
    if column is None or np.size(column[0]) > limit:
        return feature
    return msgspec.structs.replace(feature, example=column[:1].tolist()[0])


def _check_shape(spec: Spec, column: Array | None) -> None:
    if column is None:
        return
    got = column.shape[1:]
    if len(got) != len(spec.shape) or any(
        want not in (None, size) for want, size in zip(spec.shape, got, strict=True)
    ):
        raise ImportRefused(f"{spec.name} has shape {got} a row; the model takes {spec.text}")


def _chosen(columns: Mapping[str, Array], features: tuple[Feature, ...]) -> dict[str, Array]:
    """At most MAX_ROWS rows, evenly spaced."""
    count = len(next(iter(columns.values())))
    rows = np.unique(np.linspace(0, count - 1, min(count, MAX_ROWS)).astype(int))
    return {feature.name: columns[feature.name][rows] for feature in features}


def _list(names: Any) -> str:
    return ", ".join(names)
