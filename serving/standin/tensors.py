"""One JSON value ↔ one tensor, by the rules of ``tensorflow_serving/util/json_tensor.cc``.

Tensors are numpy arrays; strings are object arrays of ``bytes``, as TensorFlow feeds and fetches
them.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import math
from typing import Any

import numpy as np

from serving.standin import jsonwrite
from serving.standin.status import ServingError, invalid_argument

Array = np.ndarray[Any, Any]

#: TensorFlow's names (``DataTypeString``) of the types JSON can carry, and numpy's.
DTYPES: dict[str, np.dtype[Any]] = {
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    "int8": np.dtype(np.int8),
    "int16": np.dtype(np.int16),
    "int32": np.dtype(np.int32),
    "int64": np.dtype(np.int64),
    "uint8": np.dtype(np.uint8),
    "uint32": np.dtype(np.uint32),
    "uint64": np.dtype(np.uint64),
    "bool": np.dtype(np.bool_),
    "string": np.dtype(object),
}
#: Whole numbers a type takes. The small ones are read as int32 and then cut, as the original does.
_INT32 = (-(2**31), 2**31 - 1)
_LIMITS = {
    "int8": _INT32,
    "int16": _INT32,
    "uint8": _INT32,
    "int32": _INT32,
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
#: The largest whole number that is accepted for a float type (``IsLosslessDecimal``).
_MAX_WHOLE = {"float": 2**24 - 1, "double": 2**53 - 1}

#: Dimensions numpy can carry; TensorFlow Serving stops at 254.
MAX_RANK = 63

_JSON_TYPES = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}


def json_type(value: Any) -> str:
    """RapidJSON's name for the type of a parsed value."""
    if value is None or isinstance(value, bool):
        return {None: "Null", False: "False", True: "True"}[value]
    return _JSON_TYPES[type(value)]


def is_base64(value: Any) -> bool:
    """Whether a parsed value is the ``{"b64": "…"}`` that stands for bytes."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def decode_base64(value: dict[str, Any]) -> bytes:
    """The bytes of a ``{"b64": "…"}``; spaces and missing padding are forgiven, as in Abseil."""
    text = "".join(value["b64"].split()).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid_argument("Unable to base64 decode") from None


def text_bytes(text: str) -> bytes:
    """The bytes a parsed string was sent as."""
    return text.encode("utf-8", "surrogateescape")


def shape_of(value: Any) -> list[int]:
    """The shape a value would have, judged by its first elements only; [] for a scalar."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return shape


def to_tensor(value: Any, dtype: str) -> Array:
    """``value`` (scalar, or lists nested to any depth) as a tensor of TensorFlow type ``dtype``.

    Raises ``ServingError`` where a list is ragged or an element does not fit the type.
    """
    shape = shape_of(value)
    if len(shape) > MAX_RANK:
        raise invalid_argument(f"Nested deeper than {MAX_RANK} lists, a limit of the stand-in")
    flat = _flatten(value, shape)
    fast = _convert_uniform(flat, dtype) if flat is not None else None
    if fast is None:
        flat = []
        _collect(value, 0, shape, dtype, flat)
        fast = _array(flat, dtype)
    return fast.reshape(shape)


def _flatten(value: Any, shape: list[int]) -> list[Any] | None:
    """The leaves of regular lists, or None where some list is not like its neighbours."""
    flat = [value]
    for size in shape:
        if any(type(item) is not list or len(item) != size for item in flat):
            return None
        flat = list(itertools.chain.from_iterable(flat))
    return flat


def _convert_uniform(flat: list[Any], dtype: str) -> Array | None:
    """The common case at the speed of numpy: leaves of one plain type, all of which fit."""
    kinds = set(map(type, flat))
    if dtype in _MAX_WHOLE:
        if kinds == {float}:
            wide = np.array(flat, np.float64)
            limit = np.finfo(DTYPES[dtype]).max
            if not np.any(np.isfinite(wide) & (np.abs(wide) > limit)):
                return wide.astype(DTYPES[dtype])
        elif kinds == {int} and max(map(abs, flat)) <= _MAX_WHOLE[dtype]:
            return np.array(flat, DTYPES[dtype])
    elif dtype == "string" and kinds == {str}:
        return _array([text_bytes(item) for item in flat], dtype)
    return None


def _array(flat: list[Any], dtype: str) -> Array:
    if dtype in _LIMITS and _LIMITS[dtype] == _INT32:
        return np.array(flat, np.int32).astype(DTYPES[dtype])
    array = np.empty(len(flat), DTYPES.get(dtype, object))
    array[:] = flat
    return array


def _collect(value: Any, level: int, shape: list[int], dtype: str, flat: list[Any]) -> None:
    """``FillTensorProto``: append the checked leaves of ``value`` to ``flat``."""
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid_argument(
                f"JSON Value: {jsonwrite.echo(value)} found at incorrect level: {level + 1}"
                f" in the JSON DOM. Expected at level: {len(shape)}"
            )
        flat.append(leaf(value, dtype))
        return
    if level >= len(shape):
        raise invalid_argument(
            f"Encountered list at unexpected level: {level} expected < {len(shape)}"
        )
    if len(value) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: {level}"
            f" expected size: {shape[level]}"
        )
    for item in value:
        _collect(item, level + 1, shape, dtype, flat)


def leaf(value: Any, dtype: str) -> Any:
    """``AddValueToTensor``: one element, checked against TensorFlow type ``dtype``."""
    if isinstance(value, dict):
        if dtype != "string":
            raise _type_error(value, dtype)
        if not is_base64(value):
            raise invalid_argument(
                f"JSON Value: {jsonwrite.echo(value)} not formatted correctly for base64 data"
            )
        return decode_base64(value)
    if dtype in _MAX_WHOLE:
        if json_type(value) != "Number":
            raise _type_error(value, dtype)
        if not lossless(value, dtype):
            raise lossy_error(value, dtype)
        return value
    if dtype in _LIMITS:
        low, high = _LIMITS[dtype]
        if json_type(value) != "Number" or isinstance(value, float) or not low <= value <= high:
            raise _type_error(value, dtype)
        return value
    if dtype == "string":
        if not isinstance(value, str):
            raise _type_error(value, dtype)
        return text_bytes(value)
    if dtype == "bool":
        if not isinstance(value, bool):
            raise _type_error(value, dtype)
        return value
    raise ServingError(
        "UNIMPLEMENTED", f"Conversion of JSON Value: {jsonwrite.echo(value)} to type: {dtype}"
    )


def lossless(value: float, dtype: str) -> bool:
    """``IsLosslessDecimal``: whether a number may become a ``float`` or ``double``."""
    if isinstance(value, int):
        return abs(value) <= _MAX_WHOLE[dtype]
    return not math.isfinite(value) or abs(value) <= float(np.finfo(DTYPES[dtype]).max)


def lossy_error(value: Any, target: str) -> ServingError:
    """The error of a number that ``target`` cannot hold."""
    return invalid_argument(
        f"Cannot convert JSON value: {jsonwrite.echo(value)} to {target} without loss of precision."
    )


def _type_error(value: Any, dtype: str) -> ServingError:
    return invalid_argument(
        f"JSON Value: {jsonwrite.echo(value)} Type: {json_type(value)}"
        f" is not of expected type: {dtype}"
    )


def to_tokens(tensor: Array, dtype: str, name: str) -> Any:
    """A tensor as nested lists of JSON tokens (one token for a scalar).

    Strings of a tensor named ``*_bytes`` become ``{"b64": "…"}``. Raises ``ServingError`` for
    types JSON cannot carry.
    """
    flat = tensor.reshape(-1)
    leaves: list[Any]
    if dtype in _MAX_WHOLE:
        leaves = [jsonwrite.decimal(value, tensor.dtype) for value in flat.tolist()]
    elif dtype in _LIMITS:
        leaves = [str(value) for value in flat.tolist()]
    elif dtype == "bool":
        leaves = ["true" if value else "false" for value in flat.tolist()]
    elif dtype == "string" and name.endswith("_bytes"):
        leaves = [{"b64": f'"{base64.b64encode(value).decode()}"'} for value in flat.tolist()]
    elif dtype == "string":
        leaves = [jsonwrite.string(value.decode("utf-8", "surrogateescape")) for value in flat]
    else:
        raise invalid_argument(f"Failed to write JSON value for tensor type: {dtype}")
    nested = np.empty(len(leaves), object)
    nested[:] = leaves
    return nested.reshape(tensor.shape).tolist()
