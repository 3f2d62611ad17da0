"""Tensors and examples between TensorFlow Serving's gRPC messages and what a servable runs.

Checks and their wording follow ``tensorflow_serving/servables/tensorflow/{predict_util,util}.cc``
and ``tensorflow/cc/saved_model/util.cc``. Outputs are written as ``Tensor::AsProtoField`` does,
value by value, because the original answers so unless it is told otherwise.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import tensorflow as tf

from serving.standin.codec import Tensor
from serving.standin.status import ServingError, invalid_argument
from serving.standin.tensors import Array

#: The field of a ``TensorProto`` for TensorFlow's types; half floats go in as their bits.
_FIELDS = {
    "float": "float_val",
    "double": "double_val",
    "int8": "int_val",
    "int16": "int_val",
    "int32": "int_val",
    "uint8": "int_val",
    "uint16": "int_val",
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "bool": "bool_val",
    "string": "string_val",
    "half": "half_val",
    "bfloat16": "half_val",
}


def decode_inputs(definition: Any, sent: Any) -> dict[str, Array]:
    """The tensors of a predict request by input name, defaults of the signature included.

    Raises ``ServingError`` ``INVALID_ARGUMENT``.
    """
    wanted, defaults = definition.inputs, definition.defaults
    if len(sent) > len(wanted) or (len(sent) < len(wanted) and not defaults):
        extra, missing = set(sent) - set(wanted), set(wanted) - set(sent)
        raise invalid_argument(
            f"input size does not match signature: {len(sent)}!={len(wanted)}"
            f" len({{{_listed(sent)}}}) != len({{{_listed(wanted)}}})."
            f" Sent extra: {{{_listed(extra)}}}. Missing but required: {{{_listed(missing)}}}."
        )
    inputs = {}
    for name in sorted(wanted):
        if name not in sent and name not in defaults:
            raise invalid_argument(
                f"Signature input alias: {name}(feed name: {wanted[name].name}) not found in"
                " request and no default value provided. Inputs expected to be in the request"
                f" {{{_listed(sent)}}}, or default input alias set: {_listed(defaults)}"
            )
        inputs[name] = _decode(name, sent[name] if name in sent else defaults[name])
    if any(name not in wanted for name in sent):
        used = _listed(set(wanted) & set(sent))
        raise invalid_argument(
            f"Inputs contains invalid name. Used request inputs: {used},"
            f" request input: {_listed(sent)}"
        )
    return inputs


def output_names(definition: Any, wanted: Collection[str]) -> list[str]:
    """The outputs to run: those of ``output_filter``, all of them if it is empty."""
    names: list[str] = []
    for name in wanted:
        if name not in definition.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {name} Outputs expected to be in"
                f" the set {{{_listed(definition.outputs)}}}."
            )
        if name in names:
            raise invalid_argument(f"duplicate output tensor alias: {name}")
        names.append(name)
    return names or sorted(definition.outputs)


def fill(proto: Any, tensor: Tensor) -> None:
    """Write a result into an empty ``TensorProto``."""
    field = _FIELDS.get(tensor.dtype)
    if field is None:
        raise ServingError("UNIMPLEMENTED", f"The stand-in cannot answer type {tensor.dtype}")
    values = tensor.values
    kind = tf.string if field == "string_val" else tf.dtypes.as_dtype(values.dtype)
    proto.dtype = kind.as_datatype_enum
    for size in values.shape:
        proto.tensor_shape.dim.add(size=size)
    flat = values.reshape(-1)
    if field == "half_val":
        flat = flat.view(np.uint16)
    getattr(proto, field).extend(flat.tolist())


def serialized_examples(sent: Any) -> list[bytes]:
    """The ``tf.Example`` of each entry of an ``Input``, with the context merged into it."""
    context = b""
    examples = sent.example_list.examples
    if sent.WhichOneof("kind") == "example_list_with_context":
        context = sent.example_list_with_context.context.SerializeToString()
        examples = sent.example_list_with_context.examples
    if not examples:
        raise invalid_argument("Input is empty.")
    return [context + example.SerializeToString() for example in examples]


def _decode(name: str, proto: Any) -> Array:
    try:
        values: Array = tf.make_ndarray(proto)
    except (TypeError, ValueError):
        raise invalid_argument(f"tensor parsing error: {name}") from None
    return values


def _listed(names: Collection[str]) -> str:
    return ",".join(sorted(names))
