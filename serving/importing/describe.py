"""From what a model takes, and sample rows, to the features of its manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import msgspec
import numpy as np

from gateway.models.manifest import Feature, FeatureType, TensorType
from gateway.models.rows import Array
from serving.experiments.draws import draw_columns
from serving.importing.errors import ImportRefused
from serving.importing.front import joined
from serving.importing.lenient import answered_gaps, opened, with_trials
from serving.importing.original import Original
from serving.importing.picture import drawable, pictured, sized
from serving.importing.sample import LeftOut, Sample
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
    rows are generated; `left` are rows that cannot be sent. `columns` are what the model gets,
    `pictures` the PNG files in base64 that some of them are made of.
    """

    original: Original
    features: tuple[Feature, ...]
    seen: Mapping[str, tuple[float, float]]
    columns: Mapping[str, Array]
    pictures: Mapping[str, Sequence[str]]
    left: LeftOut


def describe(
    original: Original,
    sample: Sample | None,
    targets: tuple[str, ...],
    images: tuple[Feature, ...] = (),
    lenient: bool = True,
) -> Description:
    """Match the sample's columns with the model's inputs; raises ImportRefused where they differ.

    `targets` are columns of the sample that are no features, `images` are inputs that are
    pictures. A flat tensor of numbers becomes a feature per column, where its columns have names.
    With `lenient` the rows have gaps and strings nobody has learned, where the model answers them.
    """
    if sample is None:
        if targets:
            raise ImportRefused(f"--target {targets[0]}: there is no --sample that it could be in")
        original = _joined(original, ())
    else:
        original = _matched(original, sample, targets)
    _check_images(original, images)
    kinds = {image.name: image for image in images}
    columns: Mapping[str, Array]
    if sample is None:
        left = LeftOut()
        plain = tuple(_feature(spec, None, kinds) for spec in original.inputs)
        columns = draw_columns(plain, drawable(plain, _DRAWN), _SEED)
        for image in images:
            columns[image.name] = columns[image.name].astype(np.uint8)
        features = tuple(
            _shown(feature, columns[feature.name] if None in feature.shape else None)
            for feature in plain
        )
    else:
        columns, left = _read(sample, original, lenient)
        features = tuple(_feature(spec, columns[spec.name], kinds) for spec in original.inputs)
    seen = {
        feature.name: (
            float(np.nanmin(columns[feature.name])),
            float(np.nanmax(columns[feature.name])),
        )
        for feature in features
        if sample is not None and feature.type in ("integer", "number")
    }
    columns = _chosen(columns, features)
    if lenient:
        features = tuple(map(opened, features, original.inputs))
        columns = with_trials(features, original.inputs, columns)
    columns, pictures = pictured(features, columns)
    return Description(original, features, seen, columns, pictures, left)


def _matched(original: Original, sample: Sample, targets: tuple[str, ...]) -> Original:
    """The model, with an input per column where the sample names them; all its inputs are there."""
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
    return original


def _check_images(original: Original, images: tuple[Feature, ...]) -> None:
    names = [spec.name for spec in original.inputs]
    for image in images:
        if image.name not in names:
            raise ImportRefused(f"--image {image.name}: the model takes {_list(names)}")
    if len({image.name for image in images}) < len(images):
        raise ImportRefused("--image: an input is named twice")


def with_number(features: tuple[Feature, ...], number: TensorType) -> tuple[Feature, ...]:
    """The features with numbers of another dtype than float32."""
    if number == "float32":
        return features
    return tuple(
        msgspec.structs.replace(f, dtype=number) if f.type == "number" else f for f in features
    )


def _read(sample: Sample, original: Original, lenient: bool) -> tuple[dict[str, Array], LeftOut]:
    """The rows that can be sent: no value is missing that must be there, or no known category."""
    inputs = original.inputs
    columns, left = sample.read(
        {spec.name: spec.dtype == "string" for spec in inputs},
        {spec.name: spec.categories for spec in inputs if spec.categories is not None},
        answered_gaps(original, sample) if lenient else (),
    )
    for spec in inputs:
        column = columns[spec.name]
        if spec.scalar and column.ndim == 2 and column.shape[1] == 1:
            columns[spec.name] = column[:, 0]
    known = np.ones(len(next(iter(columns.values()))), bool)
    reasons: dict[str, int] = {}
    for spec in inputs:
        if spec.categories is not None and not (lenient and spec.unknown):
            fits = np.isin(columns[spec.name].astype(str), spec.categories)
            reasons[f"{spec.name} is no known category"] = int((~fits).sum())
            known &= fits
    if not known.any():
        raise ImportRefused(f"{sample.path.name}: no row holds only categories the model knows")
    left = left.also(int((~known).sum()), reasons)
    kept = {name: column[known] for name, column in columns.items()}
    for name, column in kept.items():
        if column.dtype.kind == "f" and np.isnan(column).all():
            raise ImportRefused(
                f"{sample.path.name}: no row that can be sent has a value of {name}"
            )
    return kept, left


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


def _feature(spec: Spec, column: Array | None, images: Mapping[str, Feature]) -> Feature:
    if spec.name in images:
        return sized(images[spec.name], spec)
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
    if column is not None and kind == "f":
        feature = msgspec.structs.replace(feature, finite=not np.isnan(column).any())
    # A whole number may go into a float; the graph's own dtype counts where it bounds the value.
    element_kind = np.dtype(feature.element if kind != "O" else object).kind
    if element_kind == spec.kind or {element_kind, spec.kind} == {"i", "u"}:
        dtype = None if feature.element == spec.dtype else spec.dtype
        feature = msgspec.structs.replace(feature, dtype=dtype)
    return _shown(feature, column)


def _shown(feature: Feature, column: Array | None) -> Feature:
    """The feature with the first value as its example, unless that is a large tensor."""
    limit = _SHOWN_VARYING if None in feature.shape else _SHOWN
    if column is None or np.size(column[0]) > limit:
        return feature
    known: Any = column[~np.isnan(column)] if not feature.finite else column
    return msgspec.structs.replace(feature, example=known[:1].tolist()[0])


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
