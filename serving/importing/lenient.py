"""What a model answers beyond complete rows of known values: gaps, and strings it has not learned.

Both are tried on the model itself, so that what its export makes of them is compared too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from gateway.models.manifest import Feature
from gateway.models.rows import Array
from serving.importing.errors import ImportRefused
from serving.importing.original import Original
from serving.importing.parity import finite
from serving.importing.sample import Sample
from serving.importing.spec import Spec

#: How the description of a feature begins that is the import's own, not a person's.
LEARNED = "Learned: "
#: How many strings such a description names at most.
_NAMED = 20
#: A string that no encoder has learned.
_UNKNOWN = "a string nobody has learned"


def answered_gaps(original: Original, sample: Sample) -> frozenset[str]:
    """The columns of numbers with gaps in the sample that the model answers, tried one by one."""
    if not original.judges_gaps:
        return frozenset()
    row: dict[str, Array] = {}
    tried: list[str] = []
    for spec in original.inputs:
        values = sample.values(spec.name, spec.kind == "O")
        if not len(values) or not spec.scalar:
            return frozenset()
        row[spec.name] = values[:1].ravel()
        if spec.kind == "f" and values.dtype.kind in "iuf" and not sample.present(spec.name).all():
            tried.append(spec.name)
    return frozenset(name for name in tried if _answers(original, row, name))


def with_trials(
    features: tuple[Feature, ...], inputs: tuple[Spec, ...], columns: Mapping[str, Array]
) -> dict[str, Array]:
    """The columns with a row more for each that takes strings the model has not learned, or has
    gaps, of which there is none in these rows."""
    trials: dict[str, Any] = {spec.name: _UNKNOWN for spec in inputs if spec.unknown}
    for feature in features:
        if feature.type == "number" and not feature.finite:
            values: Any = columns[feature.name]
            if not np.isnan(values).any():
                trials[feature.name] = np.nan
    rows: dict[str, Any] = dict(columns)
    for name, value in trials.items():
        rows = {other: np.append(column, column[:1], axis=0) for other, column in rows.items()}
        rows[name][-1] = value
    return rows


def opened(feature: Feature, spec: Spec) -> Feature:
    """The feature of such a column: any string, its description naming those that are learned."""
    if not spec.unknown or spec.categories is None:
        return feature
    named = ", ".join(f'"{category}"' for category in spec.categories[:_NAMED])
    more = len(spec.categories) - _NAMED
    others = f" and {more} more" if more > 0 else ""
    description = f"{LEARNED}{named}{others}; any other string is answered as unknown."
    return msgspec.structs.replace(feature, categories=None, description=description)


def told(features: tuple[Feature, ...], written: tuple[Feature, ...]) -> Iterator[str]:
    """What of it the user should know, in words; `written` are the features in the manifest."""
    there = {feature.name: feature for feature in written}
    gaps = [
        feature.name
        for feature in features
        if feature.type == "number" and not feature.finite and not there[feature.name].finite
    ]
    unknown = [
        feature.name
        for feature in features
        if feature.description.startswith(LEARNED) and there[feature.name].categories is None
    ]
    if gaps:
        yield f"missing numbers are answered, null in JSON: {', '.join(gaps)}"
    if unknown:
        yield f"strings it has not learned are answered: {', '.join(unknown)}"


def _answers(original: Original, row: Mapping[str, Array], gap: str) -> bool:
    try:
        finite(original.answer({**row, gap: np.array([np.nan])}))
    except ImportRefused:
        return False
    return True
