"""What every exported graph has in common: named, checked, free of the build machine's traces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

#: One opset for all graphs, so that they can be merged: the newest that tf2onnx writes.
OPSET = 18
ML_OPSET = 3
BATCH = "batch"


def clean(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Name the graph, drop unused opset imports, doc strings and metadata; in place.

    The exporters write source paths and stack traces of the build machine into metadata. The first
    dimension of every input and output gets one name, so that ONNX Runtime sees it is the same.
    """
    used = {_domain(node.domain) for node in model.graph.node}
    versions = {_domain(o.domain): o.version for o in model.opset_import}
    del model.opset_import[:]
    model.opset_import.extend(
        onnx.helper.make_opsetid(domain, version)
        for domain, version in sorted(versions.items())
        if domain in used
    )
    graph = model.graph
    graph.name = name
    model.doc_string = graph.doc_string = ""
    del model.metadata_props[:]
    del graph.metadata_props[:]
    del graph.value_info[:]
    parts: list[Any] = [*graph.node, *graph.initializer, *graph.input, *graph.output]
    for part in parts:
        part.doc_string = ""
        del part.metadata_props[:]
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    return model


def save(model: onnx.ModelProto, path: Path) -> None:
    """Check the graph fully (schema, types and shapes) and write it as one file.

    Raises:
        onnx.checker.ValidationError: the graph is invalid.
        onnx.shape_inference.InferenceError: types or shapes contradict each other.
    """
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain
