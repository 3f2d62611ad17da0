"""What skl2onnx does wrongly or not at all, mended for the time of a conversion."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from onnx import numpy_helper
from skl2onnx.common import _container
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, guess_proto_type
from skl2onnx.operator_converters.imputer_op import convert_sklearn_imputer
from skl2onnx.shape_calculators.imputer import calculate_sklearn_imputer_output_shapes
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer

from serving.dataset import Floats
from serving.importing.sklearn_columns import last_step

_HISTOGRAMS = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
#: Attributes of a tree ensemble that hold floats.
_FLOATS = ("nodes_values", "nodes_hitrates", "target_weights", "class_weights", "base_values")


@contextmanager
def mended(thresholds: Floats | None) -> Iterator[None]:
    """skl2onnx with two mends, for the time of a conversion.

    It hands numpy's integers and booleans to onnx, whose newer releases want Python's. And it
    rounds the thresholds of trees to float32; `thresholds` are the exact ones, where they count.
    """
    make_node = _container.make_node

    def make(op_type: str, *ends: Any, **attributes: Any) -> Any:
        if thresholds is not None and op_type.startswith("TreeEnsemble"):
            attributes = dict(_as_tensors(attributes | {"nodes_values": thresholds}))
        return make_node(op_type, *ends, **{name: _native(v) for name, v in attributes.items()})

    _container.make_node = make
    try:
        yield
    finally:
        _container.make_node = make_node


def thresholds_of(estimator: Any) -> Floats | None:
    """The thresholds of histogram gradient boosting, float64, tree after tree; 0 at leaves.

    Other trees of scikit-learn compare with float32, these do not.
    """
    last = last_step(estimator)
    if not isinstance(last, _HISTOGRAMS):
        return None
    trees = [tree for stage in last._predictors for tree in stage]
    values = [np.where(t.nodes["is_leaf"], 0.0, t.nodes["num_threshold"]) for t in trees]
    return np.concatenate(values).astype(np.float64)


def _native(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_native(entry) for entry in value]
    if isinstance(value, bool | np.bool_):
        return int(value)
    return value.item() if isinstance(value, np.generic) else value


def _as_tensors(attributes: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The float attributes of a tree ensemble as tensors of float64."""
    for name, value in attributes.items():
        if name in _FLOATS:
            array = np.asarray(value, np.float64)
            yield f"{name}_as_tensor", numpy_helper.from_array(array, f"{name}_as_tensor")
        else:
            yield name, value


def impute(scope: Any, operator: Any, container: Any) -> None:
    """An imputer fills in NaN, and hands on strings, which are never missing when they are sent."""
    if not _plain(operator.raw_operator):
        convert_sklearn_imputer(scope, operator, container)
        return
    columns = [variable.full_name for variable in operator.inputs]
    output = operator.outputs[0].full_name
    kind = operator.inputs[0].type
    if not isinstance(kind, FloatTensorType | DoubleTensorType):
        _add(scope, container, "Concat", columns, output, axis=1)
        return
    joined, gaps, values = (
        scope.get_unique_variable_name(name) for name in ("joined", "gaps", "values")
    )
    statistics = operator.raw_operator.statistics_.astype(np.float64).tolist()
    container.add_initializer(values, guess_proto_type(kind), [1, len(statistics)], statistics)
    _add(scope, container, "Concat", columns, joined, axis=1)
    _add(scope, container, "IsNaN", [joined], gaps)
    _add(scope, container, "Where", [gaps, values, joined], output, op_version=9)


def _add(
    scope: Any,
    container: Any,
    kind: str,
    inputs: list[str],
    output: str,
    op_version: int = 13,
    **attributes: Any,
) -> None:
    name = scope.get_unique_operator_name(kind)
    container.add_node(kind, inputs, output, name=name, op_version=op_version, **attributes)


def impute_shape(operator: Any) -> None:
    if not _plain(operator.raw_operator):
        calculate_sklearn_imputer_output_shapes(operator)
        return
    width = sum(variable.type.shape[1] for variable in operator.inputs)
    operator.outputs[0].type = type(operator.inputs[0].type)([None, width])


def _plain(imputer: SimpleImputer) -> bool:
    """Whether it fills in NaN or null only, and keeps all columns.

    ONNX's own imputer knows neither float64 nor missing strings.
    """
    missing = imputer.missing_values
    nothing = missing is None or (isinstance(missing, float) and math.isnan(missing))
    kept = all(value == value for value in imputer.statistics_.tolist())
    return nothing and kept and not imputer.add_indicator
