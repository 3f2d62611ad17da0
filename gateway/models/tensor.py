"""Values of ``tensor`` features: nested lists, or raw bytes in base64."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np

from gateway.errors import Misfit
from gateway.models.manifest import Feature
from gateway.models.rows import Array

#: What :mod:`struct` calls the elements of a feature while it is not known that they fit.
_CODES = {
    **dict(zip(("int8", "int16", "int32", "int64"), "bhiq", strict=True)),
    **dict(zip(("uint8", "uint16", "uint32", "uint64"), "BHIQ", strict=True)),
    **dict.fromkeys(("float16", "float32", "float64"), "d"),
}


class Raw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``{"b64": "…"}``: the elements of one row, little-endian, row-major, in base64.

    Several times faster to read than a list of numbers. Not for strings. ``shape`` is that of the
    row; it can be left out where one dimension varies at most.
    """

    b64: bytes
    shape: list[Annotated[int, msgspec.Meta(ge=0, le=2**31)]] | None = None


class TensorError(ValueError):
    """The value does not fit the feature; ``kind`` and ``detail`` say how."""

    def __init__(self, kind: Misfit, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


class RowError(TensorError):
    """The value of row ``row`` does not fit the feature, or not beside the rows before it."""

    def __init__(self, error: TensorError, row: int) -> None:
        super().__init__(error.kind, error.detail)
        self.row = row


def json_type(feature: Feature) -> Any:
    """The type msgspec decodes a tensor to."""
    kind = "O" if feature.element == "string" else np.dtype(feature.element).kind
    nested: Any = {"O": str, "f": float, "b": bool}.get(kind, int | float)
    if not feature.finite and kind == "f":
        nested = float | None
    for _ in feature.shape:
        nested = list[nested]
    return nested if kind == "O" or not feature.shape else nested | Raw


def to_array(feature: Feature, values: Sequence[Any]) -> Array:
    """Rows of one tensor feature as an array of shape (rows, *shape) of the feature's dtype.

    Raises :class:`TensorError` where shape, size or encoding does not fit, and :class:`RowError`
    at the first row that is of another shape than those before it.
    """
    if any(type(value) is Raw for value in values):
        return _stack([_from_raw(feature, value) for value in values])
    wide = _packed(feature, values)
    if wide is None:
        try:
            wide = np.array(values, dtype=_wide(feature))
        except ValueError as error:
            if len(values) == 1:
                raise TensorError("shape", "its lists are ragged") from error
            return _stack([to_array(feature, [value])[0] for value in values])
    if not wide.size:
        wide = wide.reshape(len(values), *_empty_shape(feature, wide.shape[1:]))
    _check_shape(feature, wide.shape[1:])
    if feature.element == "string":
        if not all(encodable(str(text)) for text in wide.ravel()):
            raise TensorError("text", "is not valid Unicode")
        return wide
    if feature.element == "bool" or not wide.size:
        return wide.astype(feature.element)
    if wide.dtype.kind == "f" and np.dtype(feature.element).kind != "f":
        wide = _whole(values)
    low, high = feature.limits
    checked = wide if feature.finite else wide[np.isfinite(wide)]
    if not checked.size:
        return wide.astype(feature.element)
    if wide.dtype.kind not in "iufO" or not (low <= checked.min() and checked.max() <= high):
        raise TensorError("dtype", f"does not fit in {feature.element}")
    return wide.astype(feature.element)


def _packed(feature: Feature, values: Sequence[Any]) -> Array | None:
    """The array in a fraction of numpy's time; None where the lists are not of its plain numbers.

    struct refuses what is missing, does not fit or is spelled 75.0, and lists of other lengths.
    """
    code, rank = _CODES.get(feature.element), len(feature.shape)
    if code is None or not rank:
        return None
    lists: Sequence[Any] = values
    shape = [len(values), len(values[0])]
    for _ in range(rank - 1):
        if not shape[-1] or any(len(inner) != shape[-1] for inner in lists):
            return None
        lists = list(chain.from_iterable(lists))
        shape.append(len(lists[0]))
    if not shape[-1]:
        return None
    pack = struct.Struct(f"={shape[-1]}{code}").pack
    try:
        packed = b"".join([pack(*inner) for inner in lists])
    except (struct.error, OverflowError):
        return None
    return np.frombuffer(packed, f"={code}").reshape(shape)


def _wide(feature: Feature) -> type | None:
    """The dtype that carries all values of a feature until it is known that they fit."""
    if feature.element == "string":
        return object
    return None if feature.finite else np.float64  # which makes NaN of null


def encodable(text: str) -> bool:
    """Whether the string is Unicode text; JSON can spell lone surrogates, which are not."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _whole(values: Sequence[Any]) -> Array:
    """Whole numbers of which some are spelled 75.0, or lie on both sides of int64's end.

    float64, which numpy makes of them, does not carry the large ones exactly.
    """
    exact: Any = np.array(values, dtype=object)
    for value in exact.flat:
        if type(value) is float and not value.is_integer():
            raise TensorError("type", "holds numbers that are not whole")
    whole: Array = np.frompyfunc(int, 1, 1)(exact)
    return whole


def _from_raw(feature: Feature, value: Any) -> Array:
    if type(value) is not Raw:
        array: Array = to_array(feature, [value])[0]
        return array
    dtype = np.dtype(feature.element).newbyteorder("<")
    sizes = [-1 if size is None else size for size in feature.shape]
    if value.shape is not None:
        _check_shape(feature, tuple(value.shape))
        sizes = value.shape
    try:
        flat = np.frombuffer(value.b64, dtype)
        shaped: Array = flat.reshape(sizes).astype(feature.element, copy=False)
    except ValueError as error:
        detail = f"its {len(value.b64)} bytes do not fit in shape or size"
        if feature.shape.count(None) > 1 and value.shape is None:
            detail = "several of its dimensions vary: raw bytes need their shape beside them"
        raise TensorError("shape", detail) from error
    if shaped.dtype.kind == "f" and feature.finite and not np.isfinite(shaped).all():
        raise TensorError("dtype", "holds numbers that are not finite")
    return shaped


def _stack(rows: list[Array]) -> Array:
    """The rows as one array; raises :class:`RowError` at the first of another shape."""
    first = rows[0].shape
    for index, row in enumerate(rows):
        if row.shape != first:
            detail = (
                f"has shape {_spelled(row.shape)}, the instance before it {_spelled(first)}: send "
                "instances of different shapes in separate requests"
            )
            raise RowError(TensorError("shape", detail), index)
    return np.stack(rows)


def _spelled(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "scalar"


def _empty_shape(feature: Feature, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a row without elements: ``[]`` says nothing of the dimensions below it."""
    if len(shape) > len(feature.shape):
        return shape
    below = feature.shape[len(shape) :]
    return shape + tuple(0 if size is None else size for size in below)


def _check_shape(feature: Feature, shape: tuple[int, ...]) -> None:
    if len(shape) != len(feature.shape) or any(
        want is not None and got != want for got, want in zip(shape, feature.shape, strict=True)
    ):
        raise TensorError("shape", f"has shape {_spelled(shape)}")
