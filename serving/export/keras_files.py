"""Export of a Keras network as a SavedModel and to ONNX."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import onnx
import tensorflow as tf
import tf2onnx

from serving import layout
from serving.export.onnx_file import OPSET, clean

#: Takes one tensor per input, gives the outputs by name.
Answer = Callable[..., dict[str, Any]]


def _signature(net: Any, source: str, target: str) -> tuple[Answer, list[Any]]:
    specification = [tf.TensorSpec((None, net.input_shape[1]), tf.float32, name=source)]

    def answer(features: Any) -> dict[str, Any]:
        return {target: net(features, training=False)}

    return answer, specification


def keras_to_saved_model(net: Any, folder: Path, source: str, target: str) -> None:
    """Write a SavedModel with the one signature TensorFlow Serving takes by default.

    Its input is `source`, float32 (n, width), its output `target`, float32 (n, 1).
    """
    to_saved_model(net, folder, *_signature(net, source, target))


def to_saved_model(net: Any, folder: Path, answer: Answer, specification: list[Any]) -> None:
    """Write a SavedModel with `answer` as its signature, for inputs like `specification`.

    `net` is the Keras model that holds the weights; a ``tf.TensorSpec`` names each input.
    """
    archive = keras.export.ExportArchive()
    archive.track(net)
    archive.add_endpoint(layout.SIGNATURE, answer, specification)
    archive.write_out(str(folder), verbose=False)
    # Empty, and git would lose it: the committed folder and a rebuilt one hold the same.
    with contextlib.suppress(OSError):
        (folder / "assets").rmdir()


def keras_to_onnx(net: Any, source: str, target: str) -> onnx.ModelProto:
    """The network as a graph from `source`, float32 (batch, width), to `target`."""
    return to_onnx(*_signature(net, source, target))


def to_onnx(answer: Answer, specification: list[Any]) -> onnx.ModelProto:
    """The function `answer` as a graph, for inputs like `specification`; raises what tf2onnx does.

    What ONNX has no operator for stays in the graph as a node of TensorFlow's name.
    """
    function = tf.function(answer, input_signature=specification)
    model, _ = tf2onnx.convert.from_function(function, input_signature=specification, opset=OPSET)
    return clean(model, "tensorflow")
