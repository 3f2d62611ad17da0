"""Pictures and models that look at them, for tests."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper
from PIL import Image

from tests.conftest import save

Pixels = npt.NDArray[np.uint8]

#: Height, width of the picture the model of these tests takes.
SIZE = (4, 6)

#: A picture and a number in, the mean brightness times the number out.
BRIGHTNESS: dict[str, Any] = {
    "name": "brightness",
    "features": [
        {"name": "photo", "type": "image", "size": list(SIZE), "mode": "RGB", "layout": "CHW"},
        {"name": "gain", "type": "number", "example": 1.0},
        {"name": "note", "type": "string", "example": ""},
    ],
    "outputs": [
        {"name": "mean", "labels": ["dark", "bright"], "threshold": 100},
        {"name": "said"},
    ],
    "backends": {"onnx": {"lineages": {"made": {"artifact": "brightness.onnx"}}}},
}
#: The same for the picture alone.
ALONE: dict[str, Any] = BRIGHTNESS | {
    "name": "alone",
    "features": BRIGHTNESS["features"][:1],
    "outputs": BRIGHTNESS["outputs"][:1],
    "backends": {"onnx": {"lineages": {"made": {"artifact": "alone.onnx"}}}},
}


def draw(shape: tuple[int, ...], seed: int = 0) -> Pixels:
    """Random pixels of (height, width) or (height, width, channels)."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def encoded(pixels: Any, kind: str = "PNG", **options: Any) -> bytes:
    """An array, or a picture of Pillow's, as a file."""
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def text(content: bytes) -> str:
    """As JSON carries it."""
    return base64.b64encode(content).decode()


def brightness_graph(path: Path, alone: bool) -> Path:
    """Write ``mean`` = mean over ``photo``, uint8 (n, 3, 4, 6), × ``gain``; ``said`` = ``note``."""
    inputs = [helper.make_tensor_value_info("photo", TensorProto.UINT8, ["n", 3, *SIZE])]
    outputs = [helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["n", 1])]
    nodes = [
        helper.make_node("Cast", ["photo"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
        helper.make_node("ReduceMean", ["flat", "axis"], ["mean" if alone else "plain"]),
    ]
    if not alone:
        inputs.append(helper.make_tensor_value_info("gain", TensorProto.FLOAT, ["n", 1]))
        inputs.append(helper.make_tensor_value_info("note", TensorProto.STRING, ["n", 1]))
        outputs.append(helper.make_tensor_value_info("said", TensorProto.STRING, ["n", 1]))
        nodes.append(helper.make_node("Mul", ["plain", "gain"], ["mean"]))
        nodes.append(helper.make_node("Identity", ["note"], ["said"]))
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
    return save(helper.make_graph(nodes, "brightness", inputs, outputs, [axis]), path)
