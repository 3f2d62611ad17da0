"""The preprocessing graph: pixels of 0 to 255 to the row of numbers the network takes."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from serving.digit_three.definition import SIDE
from serving.export.onnx_file import BATCH, OPSET, clean


def make_preprocess(source: str, target: str) -> onnx.ModelProto:
    """The graph from `source`, uint8 (batch, 28, 28), to `target`, float32 (batch, 784)."""
    nodes = [
        helper.make_node("Cast", [source], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["pixels", "white"], ["scaled"]),
        helper.make_node("Flatten", ["scaled"], [target], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "preprocess",
        [helper.make_tensor_value_info(source, TensorProto.UINT8, [BATCH, SIDE, SIDE])],
        [helper.make_tensor_value_info(target, TensorProto.FLOAT, [BATCH, SIDE * SIDE])],
        [helper.make_tensor("white", TensorProto.FLOAT, [], [255.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    return clean(model, "preprocess")
