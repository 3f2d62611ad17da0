"""Arrays to and from TensorFlow's ``TensorProto``, without TensorFlow.

Types and fields: ``tensorflow/core/framework/types.proto`` and ``tensor.proto``. A tensor's
elements are either the little-endian, row-major bytes of ``tensor_content`` or the values of the
field of their type (``float_val``, …), where the last value stands for all that are missing.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gateway.models.rows import Array

DT_STRING = 7
_DT_BFLOAT16 = 14


class _Kind(NamedTuple):
    """``stored`` is what one value of ``field`` holds: half floats travel as their bits."""

    dtype: np.dtype[Any]
    field: str
    stored: np.dtype[Any]


def _kind(name: str, field: str, stored: str | None = None) -> _Kind:
    return _Kind(np.dtype(name), field, np.dtype(stored or name))


#: The ``DataType`` numbers of numpy's types. numpy has no bfloat16; it is read as its bits.
_KINDS = {
    1: _kind("float32", "float_val"),
    2: _kind("float64", "double_val"),
    3: _kind("int32", "int_val"),
    4: _kind("uint8", "int_val"),
    5: _kind("int16", "int_val"),
    6: _kind("int8", "int_val"),
    9: _kind("int64", "int64_val"),
    10: _kind("bool", "bool_val"),
    _DT_BFLOAT16: _kind("uint16", "half_val"),
    17: _kind("uint16", "int_val"),
    19: _kind("float16", "half_val", "uint16"),
    22: _kind("uint32", "uint32_val"),
    23: _kind("uint64", "uint64_val"),
}
_NUMBERS = {kind.dtype.name: number for number, kind in _KINDS.items() if number != _DT_BFLOAT16}


def fill(tensor: Any, array: Array) -> None:
    """Write ``array`` into an empty ``TensorProto``; object and text arrays as UTF-8 strings."""
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if array.dtype.kind in "OU":
        tensor.dtype = DT_STRING
        tensor.string_val.extend([str(text).encode() for text in array.ravel().tolist()])
        return
    tensor.dtype = _NUMBERS[array.dtype.name]
    tensor.tensor_content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def to_array(tensor: Any) -> Array:
    """The array a ``TensorProto`` holds; strings as text in an object array, bfloat16 as float32.

    Raises :class:`ValueError` where shape and values contradict each other, or the type has no
    counterpart in numpy.
    """
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise ValueError(f"a tensor of unknown shape {shape}")
    if tensor.dtype == DT_STRING:
        texts = [value.decode("utf-8", "backslashreplace") for value in tensor.string_val]
        return _shaped(np.array(texts, object), shape)
    kind = _KINDS.get(tensor.dtype)
    if kind is None:
        raise ValueError(f"tensors of type number {tensor.dtype} cannot be read")
    if tensor.tensor_content:
        flat = np.frombuffer(tensor.tensor_content, kind.dtype.newbyteorder("<"))
        array: Array = flat.astype(kind.dtype, copy=False).reshape(shape)
    else:
        values = np.asarray(getattr(tensor, kind.field))
        array = _shaped(values.astype(kind.stored, copy=False).view(kind.dtype), shape)
    if tensor.dtype == _DT_BFLOAT16:
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array


def as_type(array: Array, number: int) -> Array:
    """``array`` in the type ``number``, where that changes no value but by rounding.

    Otherwise, and for types that are not numbers, it comes back as it is: the server says in its
    own words what it makes of it.
    """
    kind = _KINDS.get(number)
    if kind is None or array.dtype == kind.dtype or array.dtype.kind not in "iuf":
        return array
    if kind.dtype.kind == "f":
        low, high = float(np.finfo(kind.dtype).min), float(np.finfo(kind.dtype).max)
    elif kind.dtype.kind in "iu" and array.dtype.kind != "f":
        low, high = np.iinfo(kind.dtype).min, np.iinfo(kind.dtype).max
    else:
        return array
    if array.size and not (low <= array.min() and array.max() <= high):
        return array
    return array.astype(kind.dtype)


def _shaped(values: Array, shape: list[int]) -> Array:
    """Values in a shape, filled up by the last one; without any, all are zero or empty."""
    missing = math.prod(shape) - len(values)
    if missing > 0:
        last = values[-1] if len(values) else "" if values.dtype == object else 0
        values = np.concatenate([values, np.full(missing, last, values.dtype)])
    return values.reshape(shape)
