"""What is inside a file: operators, parameters, opsets. Needs the package ``onnx``.

Only the commands that look at files import this; the server never does.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import onnx
import onnx.printer
from google.protobuf.message import DecodeError
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto

from gateway.errors import ModelError

#: Constants of more values than these are printed without them.
_FEW = 8
_VALUES = ("raw_data", "float_data", "int32_data", "string_data", "int64_data", "double_data",
           "uint64_data")  # fmt: skip


class External(msgspec.Struct, frozen=True):
    """A file of parameters beside the graph's own; ``bytes`` is None where it is missing."""

    name: str
    bytes: int | None


class Structure(msgspec.Struct, frozen=True, kw_only=True):
    """``operators`` counts all nodes by operator, most first; subgraphs and functions included.

    ``opsets`` holds the version by domain, "" being ONNX's own. ``parameters`` counts the values
    of all constants by element type; ``parameter_bytes`` is what they take.
    """

    ir_version: int
    opsets: dict[str, int]
    producer_version: str
    operators: dict[str, int]
    functions: tuple[str, ...]
    parameters: dict[str, int]
    parameter_bytes: int
    external: tuple[External, ...]

    @property
    def nodes(self) -> int:
        """The number of nodes."""
        return sum(self.operators.values())


def read_structure(path: Path) -> Structure:
    """Read ``path`` without the parameters it keeps in other files.

    Raises :class:`ModelError` where it holds no ONNX model.
    """
    model = _load(path)
    tensors = list(_tensors(model))
    parameters: Counter[str] = Counter()
    for tensor in tensors:
        parameters[TensorProto.DataType.Name(tensor.data_type).lower()] += math.prod(tensor.dims)
    return Structure(
        ir_version=model.ir_version,
        opsets={opset.domain: opset.version for opset in model.opset_import},
        producer_version=model.producer_version,
        operators=count_operators(model),
        functions=tuple(f"{one.domain}.{one.name}".lstrip(".") for one in model.functions),
        parameters=dict(parameters.most_common()),
        parameter_bytes=sum(map(_bytes, tensors)),
        external=_external(path.parent, tensors),
    )


def print_graph(path: Path) -> str:
    """The graph in ONNX's own text form, without the values of large constants.

    Raises :class:`ModelError` where ``path`` holds no ONNX model.
    """
    model = _load(path)
    for tensor in _tensors(model):
        count = math.prod(tensor.dims)
        if count <= _FEW and tensor.data_location == TensorProto.DEFAULT:
            continue
        for field in _VALUES:
            tensor.ClearField(field)
        del tensor.external_data[:]
        # The text form knows one way of leaving values out: to say that they are elsewhere.
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="values", value=str(count))
    return onnx.printer.to_text(model)


def count_operators(model: ModelProto) -> dict[str, int]:
    """How many nodes of each operator a model has, most first; those of ONNX without a domain."""
    counted: Counter[str] = Counter()
    for node in nodes_of(model):
        domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
        counted[f"{domain}{node.op_type}"] += 1
    return dict(counted.most_common())


def _load(path: Path) -> ModelProto:
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise ModelError(f"{path.name}: it is no ONNX model: {error}") from error
    if not model.ir_version:
        raise ModelError(f"{path.name}: it is no ONNX model")
    return model


def nodes_of(where: ModelProto | GraphProto | FunctionProto) -> Iterator[NodeProto]:
    """All nodes, those of subgraphs and of a model's own functions included."""
    if isinstance(where, ModelProto):
        yield from nodes_of(where.graph)
        for function in where.functions:
            yield from nodes_of(function)
        return
    for node in where.node:
        yield node
        for graph in _subgraphs(node):
            yield from nodes_of(graph)


def _subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Initializers, and the constants that stand in nodes."""
    yield from _initializers(model.graph)
    for node in nodes_of(model):
        for graph in _subgraphs(node):
            yield from _initializers(graph)
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t
            yield from attribute.tensors


def _initializers(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices


def _bytes(tensor: TensorProto) -> int:
    """The bytes of a tensor's values."""
    if tensor.data_type == TensorProto.STRING:
        return sum(map(len, tensor.string_data))
    if tensor.raw_data:
        return len(tensor.raw_data)
    for entry in tensor.external_data:
        if entry.key == "length":
            return int(entry.value)
    return math.prod(tensor.dims) * int(
        onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    )


def _external(folder: Path, tensors: list[TensorProto]) -> tuple[External, ...]:
    names = {
        entry.value
        for tensor in tensors
        if tensor.data_location == TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    found = []
    for name in sorted(names):
        file = (folder / name).resolve()
        # A file may name any path; only what lies beside it is looked at.
        inside = file.is_relative_to(folder.resolve()) and file.is_file()
        found.append(External(name, file.stat().st_size if inside else None))
    return tuple(found)
