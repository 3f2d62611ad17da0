"""Export of a Keras network as a SavedModel and to ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import onnx
import tensorflow as tf
import tf2onnx

from serving import layout
from serving.export.onnx_file import OPSET, clean


def _signature(net: Any, source: str, target: str) -> tuple[Any, list[Any]]:
    specification = [tf.TensorSpec((None, net.input_shape[1]), tf.float32, name=source)]

    def answer(features: Any) -> dict[str, Any]:
        return {target: net(features, training=False)}

    return answer, specification


def keras_to_saved_model(net: Any, folder: Path, source: str, target: str) -> None:
    """Write a SavedModel with the one signature TensorFlow Serving takes by default.

    Its input is `source`, float32 (n, width), its output `target`, float32 (n, 1).
    """
    answer, specification = _signature(net, source, target)
    archive = keras.export.ExportArchive()
    archive.track(net)
    archive.add_endpoint(layout.SIGNATURE, answer, specification)
    archive.write_out(str(folder), verbose=False)
    # Empty, and git would lose it: the committed folder and a rebuilt one hold the same.
    (folder / "assets").rmdir()


def keras_to_onnx(net: Any, source: str, target: str) -> onnx.ModelProto:
    """The network as a graph from `source`, float32 (batch, width), to `target`."""
    answer, specification = _signature(net, source, target)
    function = tf.function(answer, input_signature=specification)
    model, _ = tf2onnx.convert.from_function(function, input_signature=specification, opset=OPSET)
    return clean(model, "tensorflow")
