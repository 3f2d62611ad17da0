"""What stands before a model: columns joined into its one tensor, or a preprocessing graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from gateway.models.manifest import BackendSpec, Output, TensorType
from gateway.models.rows import Array
from serving.export.fuse import fuse
from serving.export.onnx_file import BATCH, OPSET, clean
from serving.importing.errors import ImportRefused, refusing
from serving.importing.onnx_model import OnnxModel, read_graph
from serving.importing.original import Candidate, Companion, Feeds, Original
from serving.importing.spec import Spec

#: What no graph calls a tensor of its own.
_SEAM = "preprocessed/tensor"


@dataclass
class Fronted(Original):
    """A model with a graph before its one input; `front` makes that graph for a dtype of numbers.

    `feed` does the same as the graph, for the original.
    """

    original: Original
    front: Callable[[TensorType], onnx.ModelProto]
    feed: Callable[[Feeds], Feeds]

    def answer(self, feeds: Feeds) -> dict[str, Array]:
        return self.original.answer(self.feed(feeds))

    def candidates(self, feeds: Feeds) -> Iterator[Candidate]:
        for candidate in self.original.candidates(self.feed(feeds)):
            yield replace(
                candidate, graph=merge(self.front(candidate.number), candidate.graph, self.lineage)
            )

    def outputs(self, answers: Mapping[str, Array]) -> tuple[Output, ...]:
        return self.original.outputs(answers)

    def labels(self, feeds: Feeds) -> Array | None:
        return self.original.labels(self.feed(feeds))

    def backends(self, artifact: str) -> dict[str, BackendSpec]:
        return self.original.backends(artifact)

    def companions(
        self,
        manifest: Path,
        version: Path,
        front: onnx.ModelProto | None,
        feeds: Feeds,
        tolerance: float,
    ) -> list[Companion]:
        return self.original.companions(
            manifest, version, self.front("float32"), self.feed(feeds), tolerance
        )

    def tensor(self, feeds: Feeds) -> Array:
        return self.original.tensor(self.feed(feeds))


def joined(original: Original) -> Fronted:
    """The model with one input per column of its flat tensor."""
    (spec,) = original.inputs

    def front(number: TensorType) -> onnx.ModelProto:
        return join_graph(
            spec.columns, spec.name, number if spec.dtype == "float32" else spec.dtype
        )

    def feed(feeds: Feeds) -> Feeds:
        return {spec.name: np.column_stack([feeds[name] for name in spec.columns])}

    inputs = tuple(Spec(name, spec.dtype, (1,)) for name in spec.columns)
    fronted = _before(original, inputs, front, feed)
    fronted.judges_gaps = original.judges_gaps
    return fronted


def preprocessed(original: Original, path: Path) -> Fronted:
    """The model behind the graph in the file `path`, whose one output is the model's one input."""
    first = OnnxModel.load(path, ())
    if len(original.inputs) != 1 or len(first.session.outputs) != 1:
        raise ImportRefused(
            f"--preprocess {path.name}: it must have one output, and the model one input; they have"
            f" {list(first.session.outputs)} and {[spec.name for spec in original.inputs]}"
        )
    (spec,) = original.inputs
    model = read_graph(path)

    def feed(feeds: Feeds) -> Feeds:
        (tensor,) = first.answer(feeds).values()
        return {spec.name: tensor}

    fronted = _before(original, first.inputs, lambda number: model, feed)
    fronted.files = (*original.files, path)
    return fronted


def merge(front: onnx.ModelProto, back: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """One graph from the inputs of `front` to the outputs of `back`; raises ImportRefused."""
    first, second = onnx.ModelProto(), onnx.ModelProto()
    first.CopyFrom(front)
    second.CopyFrom(back)
    with refusing("preprocessing and model cannot be merged into one graph"):
        newest = max(_opset(first), _opset(second))
        first, second = (_raised(model, newest) for model in (first, second))
        _meet(first, second)
        return fuse(first, second, name)


def join_graph(columns: tuple[str, ...], target: str, number: TensorType) -> onnx.ModelProto:
    """A graph from one input (batch, 1) per column to `target`, (batch, columns); all are
    `number`."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(number))
    # An input may have the name of the output; inside a graph it may not.
    inner = "joined" if target in columns else target
    graph = helper.make_graph(
        [helper.make_node("Concat", list(columns), [inner], axis=1)],
        "columns",
        [helper.make_tensor_value_info(name, element, [BATCH, 1]) for name in columns],
        [helper.make_tensor_value_info(inner, element, [BATCH, len(columns)])],
    )
    return _model(graph)


def identity_graph(spec: Spec) -> onnx.ModelProto:
    """A graph that hands on its only input, for servers that want a preprocessing."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))
    sizes = [BATCH, *spec.shape]
    graph = helper.make_graph(
        [helper.make_node("Identity", [spec.name], [f"{spec.name}_tensor"])],
        "columns",
        [helper.make_tensor_value_info(spec.name, element, sizes)],
        [helper.make_tensor_value_info(f"{spec.name}_tensor", element, sizes)],
    )
    return _model(graph)


def _model(graph: onnx.GraphProto) -> onnx.ModelProto:
    # IR version 8 is the oldest for this opset, so that any other graph can be merged with it.
    return clean(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8),
        "preprocess",
    )


def _before(
    original: Original,
    inputs: tuple[Spec, ...],
    front: Callable[[TensorType], onnx.ModelProto],
    feed: Callable[[Feeds], Feeds],
) -> Fronted:
    return Fronted(
        original.kind,
        original.lineage,
        inputs,
        original.files,
        original.packages,
        original,
        front,
        feed,
        notes=original.notes,
    )


def _opset(model: onnx.ModelProto) -> int:
    return next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), OPSET)


def _raised(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    if _opset(model) == opset:
        return model
    return onnx.version_converter.convert_version(model, opset)


def _meet(first: onnx.ModelProto, second: onnx.ModelProto) -> None:
    """Give the output of `first` and the input of `second` one name, by nodes that hand it on."""
    (output,), (source,) = first.graph.output, second.graph.input
    first.graph.node.append(helper.make_node("Identity", [output.name], [_SEAM]))
    second.graph.node.insert(0, helper.make_node("Identity", [_SEAM], [source.name]))
    output.name = source.name = _SEAM
