"""Export of a fitted scikit-learn transformer to ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType

from gateway.models.manifest import Feature
from serving.export.onnx_file import ML_OPSET, OPSET, clean


def transformer_to_onnx(
    transformer: Any, features: Sequence[Feature], width: int, target: str
) -> onnx.ModelProto:
    """The transformer as a graph from one input (batch, 1) per feature to `target` (batch, width).

    Strings stay strings, every other feature becomes float32, and so does the result: the graph,
    not the float64 transformer, is what is served everywhere.
    """
    inputs = [
        (f.name, StringTensorType([None, 1]) if f.type == "string" else FloatTensorType([None, 1]))
        for f in features
    ]
    model = to_onnx(
        transformer,
        initial_types=inputs,
        final_types=[(target, FloatTensorType([None, width]))],
        target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
    )
    return clean(model, "preprocess")
