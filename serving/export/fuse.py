"""Merging of preprocessing and network into one graph from raw features to prediction."""

from __future__ import annotations

import onnx
from onnx import compose

from serving.export.onnx_file import clean


def fuse(first: onnx.ModelProto, second: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """One graph with the inputs of `first` and the outputs of `second`.

    The single output of `first` must have the name of the single input of `second`. Neither is
    changed.

    Raises:
        ValueError: the names do not meet, or the opset versions differ.
    """
    joint = [value.name for value in first.graph.output]
    wanted = [value.name for value in second.graph.input]
    if joint != wanted or len(joint) != 1:
        raise ValueError(f"outputs {joint} of the first graph are not inputs {wanted} of the next")
    front = compose.add_prefix(first, "preprocess/", rename_inputs=False)
    back = compose.add_prefix(second, "net/", rename_outputs=False)
    # Only equal versions merge, and exporters differ by what their libraries were built for.
    front.ir_version = back.ir_version = max(first.ir_version, second.ir_version)
    seam = (front.graph.output[0].name, back.graph.input[0].name)
    merged = compose.merge_models(front, back, io_map=[seam], producer_name="serving.export.fuse")
    return clean(merged, name)
