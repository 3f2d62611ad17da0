"""Graphs to look at: with subgraphs, functions, constants and parameters in other files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def branching_graph(path: Path) -> Path:
    """Write ``y = x + 1 if positive else x − 1``, each in a subgraph; the 1 of each is a constant.

    The function ``mine.Twice`` is called before; an initializer holds 3 × 4 float16 values.
    """

    def branch(name: str, operator: str) -> onnx.GraphProto:
        one = numpy_helper.from_array(np.ones(1, np.float32), f"{name}_one")
        return helper.make_graph(
            [
                helper.make_node("Constant", [], [f"{name}_one"], value=one),
                helper.make_node(operator, ["twice", f"{name}_one"], [name]),
            ],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"])],
        )

    twice = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 18)],
    )  # fmt: skip
    nodes = [
        helper.make_node("Twice", ["x"], ["twice"], domain="mine"),
        helper.make_node(
            "If",
            ["up"],
            ["y"],
            then_branch=branch("then", "Add"),
            else_branch=branch("else", "Sub"),
        ),
        helper.make_node("Cast", ["half"], ["whole"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "branching",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("up", TensorProto.BOOL, []),
        ],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("whole", TensorProto.FLOAT, [3, 4]),
        ],
        [numpy_helper.from_array(np.ones((3, 4), np.float16), "half")],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)],
        functions=[twice],
        producer_name="a test",
    )
    model.ir_version = 10
    helper.set_model_props(model, {"author": "nobody"})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


def outside_graph(path: Path, size: int = 512) -> Path:
    """Write ``y = x @ w`` with the (``size``, 1) weights in ``weights.bin`` beside the graph."""
    weights = np.linspace(-1, 1, size, dtype=np.float32).reshape(size, 1)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "outside",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def shapeless_graph(path: Path) -> Path:
    """Write ``y = relu(x)`` of arrays of any shape, which the file says nothing of."""
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "shapeless",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    # ONNX's checker refuses it, converters make it all the same, and ONNX Runtime loads it.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    onnx.save(model, path)
    return path
