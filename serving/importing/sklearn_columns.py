"""What a fitted scikit-learn pipeline knows of its columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.pipeline import FeatureUnion, Pipeline

#: Steps that hand columns on as they are: same number, same meaning.
_KEEPING = ("SimpleImputer", "FunctionTransformer", "KNNImputer")


@dataclass(frozen=True)
class Column:
    """One column: `categories` where an encoder has learned strings, with `unknown` where it takes
    others too; `text` where it is free."""

    name: str
    categories: tuple[str, ...] | None = None
    text: bool = False
    unknown: bool = False


def parts(estimator: Any) -> Iterator[Any]:
    """The estimator and every fitted estimator within it, as far as it is built of the usual."""
    yield estimator
    if isinstance(estimator, Pipeline):
        inner: list[Any] = [step for _, step in estimator.steps]
    elif isinstance(estimator, ColumnTransformer):
        inner = [step for _, step, _ in estimator.transformers_]
    elif isinstance(estimator, FeatureUnion):
        inner = [step for _, step in estimator.transformer_list]
    else:
        inner = []
    for step in inner:
        if not isinstance(step, str) and step is not None:
            yield from parts(step)


def first_step(estimator: Any) -> Any:
    """The step that gets the raw columns."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[0][1]
    return estimator


def last_step(estimator: Any) -> Any:
    """The step that predicts."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def by_name(estimator: Any, names: Sequence[str]) -> dict[str, Column]:
    """What the estimator's encoders and vectorizers know of each column."""
    found = {name: Column(name) for name in names}
    found |= _walk(estimator, list(names))
    return found


def _walk(estimator: Any, names: list[str]) -> dict[str, Column]:
    if isinstance(estimator, Pipeline):
        for _, step in estimator.steps:
            known = _walk(step, names)
            if known or type(step).__name__ not in _KEEPING:
                return known
        return {}
    if isinstance(estimator, FeatureUnion):
        merged: dict[str, Column] = {}
        for _, step in estimator.transformer_list:
            merged |= _walk(step, names)
        return merged
    if isinstance(estimator, ColumnTransformer):
        merged = {}
        for _, step, chosen in estimator.transformers_:
            merged |= _walk(step, selected(chosen, names))
        return merged
    if isinstance(estimator, CountVectorizer | HashingVectorizer):
        return {name: Column(name, text=True) for name in names}
    return dict(_encoded(estimator, names))


def _encoded(encoder: Any, names: list[str]) -> Iterator[tuple[str, Column]]:
    learned = getattr(encoder, "categories_", None)
    if learned is None or len(learned) != len(names):
        return
    # An encoder without that parameter encodes all others alike.
    unknown = getattr(encoder, "handle_unknown", "ignore") != "error"
    for name, values in zip(names, learned, strict=True):
        strings = [value for value in np.asarray(values).tolist() if isinstance(value, str)]
        if strings:
            yield name, Column(name, tuple(strings), unknown=unknown)


def selected(chosen: Any, names: list[str]) -> list[str]:
    """The columns a ColumnTransformer hands to a step, however they were chosen."""
    if isinstance(chosen, str):
        return [chosen]
    if isinstance(chosen, slice):
        if isinstance(chosen.start, str) or isinstance(chosen.stop, str):
            low = names.index(chosen.start) if chosen.start else 0
            high = names.index(chosen.stop) + 1 if chosen.stop else len(names)
            return names[low:high]
        return names[chosen]
    if isinstance(chosen, int | np.integer):
        return [names[int(chosen)]]
    listed = list(chosen)
    if listed and isinstance(listed[0], bool | np.bool_):
        return [name for name, keep in zip(names, listed, strict=True) if keep]
    return [entry if isinstance(entry, str) else names[int(entry)] for entry in listed]
