"""Conversion of a fitted scikit-learn estimator to one ONNX graph."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import skl2onnx
from onnx import TensorProto, helper
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from skl2onnx.sklapi import CastTransformer
from sklearn.ensemble import (
    BaseEnsemble,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.tree import BaseDecisionTree

from gateway.models.manifest import TensorType
from serving.export.onnx_file import BATCH, ML_OPSET, OPSET, clean
from serving.importing.errors import ImportRefused, refusing
from serving.importing.original import Feeds
from serving.importing.sklearn_columns import last_step, parts
from serving.importing.sklearn_mends import impute, impute_shape, mended, thresholds_of
from serving.importing.spec import Spec

#: ONNX Runtime's types of outputs → those of ONNX.
_ELEMENTS = {
    "tensor(float)": TensorProto.FLOAT,
    "tensor(double)": TensorProto.DOUBLE,
    "tensor(int64)": TensorProto.INT64,
    "tensor(string)": TensorProto.STRING,
}
#: ONNX Runtime lowers letters by a locale, which must exist where the graph runs; this one does
#: on every Linux with a C library of the last years, in containers too.
_LOCALE = "C.UTF-8"


def convert(
    estimator: Any,
    inputs: Sequence[Spec],
    number: TensorType,
    output: str,
    options: dict[str, Any],
    feeds: Feeds,
) -> onnx.ModelProto:
    """The estimator as a graph from `inputs` to the one output `output`.

    `number` is the dtype of numbers in it; with float64 trees still get float32, because that is
    what scikit-learn gives them. `options` go to the last step's converter; the special option
    ``take`` says which of its outputs is kept. `feeds` are rows to try it on. Raises ImportRefused
    naming what has no converter.
    """
    estimator = _prepared(estimator)
    if number == "float64":
        estimator = _cast_before_trees(estimator)
    options = dict(options)
    take = options.pop("take")
    exact = thresholds_of(estimator) if number == "float64" else None
    numbers = DoubleTensorType if number == "float64" else FloatTensorType
    types = [
        (
            spec.name,
            (StringTensorType if spec.dtype == "string" else numbers)([None, *spec.shape]),
        )
        for spec in inputs
    ]
    chosen = {id(last_step(estimator)): options} if options else {}
    for part in parts(estimator):
        if isinstance(part, CountVectorizer):
            chosen[id(part)] = {"locale": _LOCALE}
    with (
        refusing(
            f"{_words(estimator)} cannot be converted to ONNX",
            "replace that step by one of https://onnx.ai/sklearn-onnx/supported.html, or move it"
            " out of the pipeline",
        ),
        mended(exact),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        model = skl2onnx.convert_sklearn(
            estimator,
            initial_types=types,
            target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
            options=chosen or None,
            custom_conversion_functions={SimpleImputer: impute},
            custom_shape_calculators={SimpleImputer: impute_shape},
        )
    if exact is not None:
        # It declares the oldest version that has the operator, which lacks the attributes.
        for opset in model.opset_import:
            opset.version = ML_OPSET if opset.domain == "ai.onnx.ml" else opset.version
    for value, spec in zip(model.graph.input, inputs, strict=True):
        if value.name != spec.name:  # skl2onnx takes letters, digits and _ only
            model.graph.node.insert(0, helper.make_node("Identity", [spec.name], [value.name]))
            value.name = spec.name
    _keep(model, take, output)
    return _typed(clean(model, "scikit-learn"), inputs, feeds)


def _prepared(estimator: Any) -> Any:
    """A copy of the estimator without what skl2onnx refuses though it changes no prediction."""
    prepared = copy.deepcopy(estimator)
    for part in parts(prepared):
        if isinstance(part, VotingClassifier):
            part.flatten_transform = False
        if isinstance(part, Pipeline):
            part.steps = [step for step in part.steps if step[1] not in ("passthrough", None)]
    return prepared


def _words(estimator: Any) -> str:
    steps = [type(part).__name__ for part in parts(estimator)]
    return " → ".join(dict.fromkeys(steps))


def _cast_before_trees(estimator: Any) -> Any:
    """The pipeline with a cast to float32 before its last step, where that is made of trees."""
    if not isinstance(estimator, Pipeline):
        return estimator
    last = last_step(estimator)
    if not isinstance(last, BaseDecisionTree) and not (
        isinstance(last, BaseEnsemble) and isinstance(last.estimator_, BaseDecisionTree)
    ):
        return estimator
    steps = estimator.steps
    return Pipeline([*steps[:-1], ("float32", CastTransformer()), steps[-1]])


def _keep(model: onnx.ModelProto, take: int, name: str) -> None:
    """Keep one output under another name, and the nodes it needs."""
    kept = model.graph.output[take].name
    needed = {kept}
    nodes: list[onnx.NodeProto] = []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            nodes.insert(0, node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    weights = [weight for weight in model.graph.initializer if weight.name in needed]
    del model.graph.initializer[:]
    model.graph.initializer.extend(weights)
    model.graph.node.append(helper.make_node("Identity", [kept], [name]))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, 1]))


def _typed(model: onnx.ModelProto, inputs: Sequence[Spec], feeds: Feeds) -> onnx.ModelProto:
    """Give the output the type and shape it has for `feeds`; skl2onnx declares some wrongly."""
    (output,) = model.graph.output
    output.ClearField("type")
    numbers: dict[int, Any] = {TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64}
    rows: dict[str, Any] = {}
    for value, spec in zip(model.graph.input, inputs, strict=True):
        dtype = numbers.get(value.type.tensor_type.elem_type, np.object_)
        first = feeds[spec.name][:2]
        sizes: Any = (len(first), *spec.shape)
        rows[spec.name] = first.astype(dtype).reshape(sizes)
    settings = ort.SessionOptions()
    settings.log_severity_level = 4
    with refusing("ONNX Runtime cannot run what skl2onnx made of it"):
        session = ort.InferenceSession(
            model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
        (told,), (answer,) = session.get_outputs(), session.run(None, rows)
    if told.type not in _ELEMENTS:
        raise ImportRefused(f"its output is a {told.type}, which cannot be served")
    sizes = [BATCH, *np.shape(answer)[1:]]
    output.CopyFrom(helper.make_tensor_value_info(output.name, _ELEMENTS[told.type], sizes))
    return model
