"""A fitted scikit-learn estimator or pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from skl2onnx import get_model_alias
from skl2onnx.common._registration import get_converter
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from gateway.models.manifest import Output
from gateway.models.rows import Array
from serving.importing.errors import ImportRefused, refusing
from serving.importing.original import Candidate, Feeds, Original
from serving.importing.sample import Sample
from serving.importing.sklearn_columns import Column, by_name, first_step, parts, selected
from serving.importing.sklearn_graph import convert
from serving.importing.spec import Spec

LINEAGE = "scikit-learn"
#: Name of the one input of a model that takes a matrix of numbers.
_MATRIX = "X"
_SUPPORTED = "import a fitted pipeline, classifier, regressor, clusterer or transformer"


@dataclass(frozen=True)
class Task:
    """What the estimator answers: the method, the output's name, how the converter is told.

    `take` is the converter's output that holds it, `labels` its classes in order.
    """

    method: str
    output: str
    options: dict[str, Any]
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Wanted:
    """What the user said: names for the outputs, columns of the sample that are no features."""

    outputs: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


@dataclass
class SklearnModel(Original):
    """`frame` says whether the estimator was fitted on a data frame, so that it wants one."""

    estimator: Any
    task: Task
    frame: bool
    flat: bool
    text: bool

    @classmethod
    def of(
        cls, estimator: Any, files: tuple[Path, ...], sample: Sample | None, wanted: Wanted
    ) -> Self:
        """Look what the estimator takes and answers; raises ImportRefused."""
        if not hasattr(estimator, "get_params"):
            raise ImportRefused(
                f"{type(estimator).__name__} is no scikit-learn estimator; {_SUPPORTED}"
            )
        estimator = _searched(estimator)
        with refusing(f"{type(estimator).__name__} is not fitted"):
            check_is_fitted(estimator)
        task = _task(estimator, wanted.outputs)
        columns = _columns(estimator, sample, wanted.targets)
        text = isinstance(first_step(estimator), CountVectorizer | HashingVectorizer)
        separate = isinstance(first_step(estimator), ColumnTransformer)
        flat = not separate and not text and not any(_is_string(c, sample) for c in columns)
        names = tuple(column.name for column in columns)
        inputs = (
            (Spec(_MATRIX, "float32", (len(names),), names),)
            if flat and len(names) > 1
            else tuple(
                Spec(
                    column.name,
                    "string" if _is_string(column, sample) else "float32",
                    (1,),
                    categories=column.categories,
                    unknown=column.unknown,
                )
                for column in columns
            )
        )
        kinds = dict.fromkeys(type(part).__name__ for part in parts(estimator))
        packages = ("scikit-learn", "skl2onnx", "onnx", "onnxruntime", "numpy")
        return cls(
            "scikit-learn: " + " → ".join(kinds),
            LINEAGE,
            inputs,
            files,
            packages,
            estimator,
            task,
            hasattr(estimator, "feature_names_in_"),
            flat,
            text,
            judges_gaps=True,
        )

    def answer(self, feeds: Feeds) -> dict[str, Array]:
        answer = self._call(self.task.method, feeds)
        if answer.ndim == 1 and self.task.labels is not None:
            # The score of the second of two classes.
            score: Any = answer
            answer = np.column_stack([-score, score])
        return {self.task.output: answer}

    def outputs(self, answers: Mapping[str, Array]) -> tuple[Output, ...]:
        (output,) = super().outputs(answers)
        fresh = Output(output.name, shape=output.shape, labels=self.task.labels)
        return (fresh,)

    def labels(self, feeds: Feeds) -> Array | None:
        if self.task.labels is None:
            return None
        named: Array = self._call("predict", feeds).astype(str)
        return named

    def candidates(self, feeds: Feeds) -> Iterator[Candidate]:
        for number in ("float32", "float64"):
            numeric: Any = number
            inputs = [
                spec if spec.dtype == "string" else replace(spec, dtype=numeric)
                for spec in self.inputs
            ]
            graph = convert(
                self.estimator, inputs, numeric, self.task.output, self.task.options, feeds
            )
            yield Candidate(graph, numeric)

    def _call(self, method: str, feeds: Feeds) -> Array:
        with refusing(f"{type(self.estimator).__name__}.{method} fails on the sample"):
            answer = getattr(self.estimator, method)(self._matrix(feeds))
            if hasattr(answer, "toarray"):
                answer = answer.toarray()
            return np.asarray(answer)

    def _matrix(self, feeds: Feeds) -> Any:
        """The rows as the estimator was fitted on them."""
        if self.text:
            return feeds[self.inputs[0].name]
        names: tuple[str, ...] = tuple(spec.name for spec in self.inputs)
        columns = [feeds[name] for name in names]
        if names == (_MATRIX,) and self.inputs[0].columns:
            names, columns = self.inputs[0].columns, list(feeds[_MATRIX].T)
        if self.frame:
            import pandas

            return pandas.DataFrame(dict(zip(names, columns, strict=True)))
        if self.flat:
            return np.column_stack(columns)
        return np.column_stack([column.astype(object) for column in columns])


def _searched(estimator: Any) -> Any:
    """What a search for parameters has found, on its own or as a step: that is what predicts."""
    if isinstance(estimator, Pipeline):
        steps = [(name, getattr(s, "best_estimator_", s)) for name, s in estimator.steps]
        return Pipeline(steps)
    return getattr(estimator, "best_estimator_", estimator)


def _task(estimator: Any, wanted: tuple[str, ...]) -> Task:
    """What to ask the estimator; raises ImportRefused where it predicts nothing that is served."""
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    name = type(last).__name__
    if len(wanted) > 1:
        raise ImportRefused(f"--output: {name} has one output")
    task = _default_task(estimator, name)
    return replace(task, output=wanted[0]) if wanted else task


def _default_task(estimator: Any, name: str) -> Task:
    if is_classifier(estimator):
        if not isinstance(estimator.classes_, np.ndarray):
            raise ImportRefused(f"{name} predicts several targets; import one model for each")
        labels = tuple(str(label) for label in estimator.classes_.tolist())
        if hasattr(estimator, "predict_proba"):
            return Task("predict_proba", "probability", {"take": 1} | _zipmap(estimator), labels)
        if hasattr(estimator, "decision_function"):
            options = {"take": 1, "raw_scores": True} | _zipmap(estimator)
            return Task("decision_function", "score", options, labels)
    if is_regressor(estimator):
        return Task("predict", "prediction", {"take": 0})
    if is_clusterer(estimator):
        return Task("predict", "cluster", {"take": 0})
    if is_outlier_detector(estimator):
        return Task("decision_function", "score", {"take": 1})
    if hasattr(estimator, "transform"):
        return Task("transform", "features", {"take": 0})
    raise ImportRefused(f"{name} neither predicts nor transforms; {_SUPPORTED}")


def _zipmap(estimator: Any) -> dict[str, Any]:
    """The option for probabilities in a matrix instead of a map, for converters that know it."""
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    with refusing(
        f"{type(last).__name__} cannot be converted to ONNX", "skl2onnx has no converter for it"
    ):
        allowed = get_converter(get_model_alias(type(last))).get_allowed_options()
    return {"zipmap": False} if allowed and "zipmap" in allowed else {}


def _columns(estimator: Any, sample: Sample | None, targets: tuple[str, ...]) -> tuple[Column, ...]:
    """The columns the estimator uses, named by itself, else by the sample, else x1, x2, …"""
    given = [] if sample is None else [n for n in sample.columns if n not in targets]
    fitted = getattr(estimator, "feature_names_in_", None)
    count = getattr(estimator, "n_features_in_", None)
    if fitted is not None:
        names = [str(name) for name in fitted]
    elif count is None:
        names = given if len(given) == 1 else ["text"]
    elif given and len(given) != count:
        raise ImportRefused(
            f"the model takes {count} columns, the sample has {len(given)}: {', '.join(given)};"
            " leave out what is no feature with --target NAME"
        )
    else:
        names = given or [f"x{index + 1}" for index in range(count)]
    known = by_name(estimator, names)
    return tuple(known[name] for name in names if name not in _dropped(estimator, names))


def _dropped(estimator: Any, names: list[str]) -> set[str]:
    """Columns that a data frame may lack, because the first step drops them."""
    first = first_step(estimator)
    if not isinstance(first, ColumnTransformer) or not hasattr(first, "feature_names_in_"):
        return set()
    used = {
        name
        for _, step, columns in first.transformers_
        if not (isinstance(step, str) and step == "drop")
        for name in selected(columns, names)
    }
    return set(names) - used


def _is_string(column: Column, sample: Sample | None) -> bool:
    if column.categories is not None or column.text:
        return True
    return sample is not None and column.name in sample.columns and sample.has_text(column.name)
