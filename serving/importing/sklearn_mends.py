"""What skl2onnx does wrongly or not at all, mended for the time of a conversion."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from onnx import numpy_helper
from skl2onnx.common import _container
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
    """An imputer hands on what it gets, where it fills in nothing but what cannot be sent."""
    if not _idle(operator.raw_operator):
        convert_sklearn_imputer(scope, operator, container)
        return
    columns = [variable.full_name for variable in operator.inputs]
    container.add_node(
        "Concat",
        columns,
        operator.outputs[0].full_name,
        name=scope.get_unique_operator_name("Concat"),
        axis=1,
        op_version=13,
    )


def impute_shape(operator: Any) -> None:
    if not _idle(operator.raw_operator):
        calculate_sklearn_imputer_output_shapes(operator)
        return
    width = sum(variable.type.shape[1] for variable in operator.inputs)
    operator.outputs[0].type = type(operator.inputs[0].type)([None, width])


def _idle(imputer: SimpleImputer) -> bool:
    """Whether it fills in NaN or null only, which JSON does not have, and keeps all columns.

    ONNX's own imputer knows neither float64 nor missing strings.
    """
    missing = imputer.missing_values
    nothing = missing is None or (isinstance(missing, float) and math.isnan(missing))
    kept = all(value == value for value in imputer.statistics_.tolist())
    return nothing and kept and not imputer.add_indicator
