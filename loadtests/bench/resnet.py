"""A convolution net of ResNet-18's shape with random weights: a model that computes.

Layers and sizes after K. He et al., "Deep Residual Learning for Image Recognition" (2015), table 1;
batch normalization is folded into the convolutions, as it is for serving.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

INPUT = "image"
OUTPUT = "scores"
#: Channels, height, width of an image; its elements are uint8.
SHAPE = (3, 224, 224)

_CLASSES = 1000
_STAGES = (64, 128, 256, 512)
_BLOCKS = 2
_OPSET = 18


def write_resnet(path: Path, seed: int = 0) -> None:
    """Write the graph: pixels (batch, 3, 224, 224) uint8 → scores (batch, 1000) float32."""
    net = _Net(seed)
    tensor = net.scaled(INPUT)
    tensor = net.convolution(tensor, 3, 64, size=7, stride=2)
    tensor = net.node("MaxPool", tensor, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for stage, width in enumerate(_STAGES):
        for block in range(_BLOCKS):
            tensor = net.block(tensor, channels, width, 2 if stage and not block else 1)
            channels = width
    tensor = net.node("Flatten", net.node("GlobalAveragePool", tensor))
    net.dense(tensor, channels, _CLASSES)
    onnx.save(net.model(), str(path))


class _Net:
    """Collects nodes and weights; every method answers the name of its output."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def weight(self, values: npt.NDArray[np.floating]) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def scaled(self, pixels: str) -> str:
        """Pixels of 0 to 255 as numbers of 0 to 1."""
        numbers = self.node("Cast", pixels, to=TensorProto.FLOAT)
        return self.node("Mul", numbers, self.weight(np.array(1 / 255)))

    def convolution(
        self, tensor: str, inputs: int, outputs: int, size: int, stride: int, relu: bool = True
    ) -> str:
        fan = inputs * size * size
        kernel = self._random.normal(0, (2 / fan) ** 0.5, (outputs, inputs, size, size))
        tensor = self.node(
            "Conv",
            tensor,
            self.weight(kernel),
            self.weight(np.zeros(outputs)),
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[size // 2] * 4,
        )
        return self.node("Relu", tensor) if relu else tensor

    def block(self, tensor: str, inputs: int, outputs: int, stride: int) -> str:
        """Two 3×3 convolutions beside a shortcut."""
        shortcut = tensor
        if stride != 1 or inputs != outputs:
            shortcut = self.convolution(tensor, inputs, outputs, 1, stride, relu=False)
        inner = self.convolution(tensor, inputs, outputs, 3, stride)
        inner = self.convolution(inner, outputs, outputs, 3, 1, relu=False)
        # Without normalization the values would double from block to block.
        total = self.node("Mul", self.node("Add", inner, shortcut), self.weight(np.array(0.7)))
        return self.node("Relu", total)

    def dense(self, tensor: str, inputs: int, outputs: int) -> str:
        matrix = self._random.normal(0, (1 / inputs) ** 0.5, (inputs, outputs))
        return self.node(
            "Gemm", tensor, self.weight(matrix), self.weight(np.zeros(outputs)), output=OUTPUT
        )

    def model(self) -> onnx.ModelProto:
        pixels = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["batch", *SHAPE])
        scores = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", _CLASSES])
        graph = helper.make_graph(self._nodes, "resnet18", [pixels], [scores], self._weights)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=10
        )
        onnx.checker.check_model(model)
        return model
