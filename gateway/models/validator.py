"""From a client's JSON to :class:`Rows`: a fast way for good bodies, an exact one for bad ones.

The fast way is a msgspec decoder made from the manifest. Whatever it refuses goes through
:meth:`Validator.convert`, which accepts exactly the same values and names every field that does not
fit. The TorchServe handler uses the same class, so both doors agree by construction.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, Self

import msgspec
import numpy as np
from msgspec.structs import astuple

from gateway.errors import FieldError, InvalidInput, Misfit, shorten
from gateway.models import image
from gateway.models.image_feature import MAX_PIXELS
from gateway.models.manifest import Feature, Manifest
from gateway.models.misfit import UNFIT, Fault, image_fault, scalar_fault, tensor_fault
from gateway.models.outside import Outside
from gateway.models.payload import escape, instances, kind, parse, show
from gateway.models.rows import Array, Inputs, Rows
from gateway.models.tensor import RowError, TensorError, json_type, to_array

MAX_INSTANCES = 10_000
_MAX_ERRORS = 1_000
#: Shapes of a column of rank 1, 2, … as ``reshape`` takes them.
_SHAPES = {rank: (-1,) + (1,) * (rank - 1) for rank in range(1, 9)}
#: What a decoder raises at a body it refuses.
_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Validator:
    """Checks payloads against one manifest. Stateless after construction; safe to share.

    ``max_pixels`` bounds the pictures of one request together, with ``each_alone`` every picture by
    itself; see :class:`gateway.models.image.Limits`.
    """

    def __init__(
        self,
        manifest: Manifest,
        max_instances: int = MAX_INSTANCES,
        max_pixels: int = MAX_PIXELS,
        each_alone: bool = False,
    ) -> None:
        self.manifest = manifest
        self.max_instances = max_instances
        self._limits = image.Limits(manifest.images, max_pixels, each_alone)
        self._quick = False
        self._features = {feature.name: feature for feature in manifest.features}
        #: Per numeric feature: its place, and between what it needs no second look.
        self._bounds = [
            (index, *(feature.range or feature.limits), feature.type == "integer")
            for index, feature in enumerate(manifest.features)
            if feature.type in ("integer", "number")
        ]
        #: Whether null stands for a gap somewhere: NaN in columns, within no bounds.
        self._gaps = any(f.type == "number" and not f.finite for f in manifest.features)
        self._tensors = any(feature.type in ("tensor", "image") for feature in manifest.features)
        #: Parsed strings may hold lone surrogates, which only the exact way looks for.
        self._free_text = any(
            feature.element == "string" and feature.categories is None
            for feature in manifest.features
        )
        self._record: Any = msgspec.defstruct(
            "Record",
            [
                (f"f{index}", _json_type(feature), msgspec.field(name=feature.name))
                for index, feature in enumerate(manifest.features)
            ],
            forbid_unknown_fields=True,
            gc=False,
        )
        self._record_list: Any = list.__class_getitem__(self._record)
        batch: Any = msgspec.defstruct(
            "Batch", [("instances", self._record_list)], forbid_unknown_fields=True
        )
        self._one = msgspec.json.Decoder(self._record)
        self._batch = msgspec.json.Decoder(batch)

    @cached_property
    def quick(self) -> Self:
        """The same for an event loop, which may not wait while large pictures are decoded.

        It raises :class:`gateway.models.image.Slow` before it decodes one.
        """
        quick = copy.copy(self)
        quick._quick = True
        return quick

    def decode(self, body: bytes) -> Rows:
        """Rows of a JSON body: one object of features, or ``{"instances": [ {…}, … ]}``.

        Raises :class:`InvalidRequest` where the body is no such JSON, and :class:`InvalidInput`
        naming each field that does not fit.
        """
        records: list[Any] = []
        pointer = "/instances/{}"
        try:
            records, pointer = [self._one.decode(body)], ""
        except _REFUSED:
            with contextlib.suppress(*_REFUSED):
                records = self._batch.decode(body).instances
        if 0 < len(records) <= self.max_instances:
            try:
                return self._rows(records, pointer)
            except _SecondLook as reason:
                return self._exactly(*instances(parse(body)), reason)
        return self.convert(*instances(parse(body)))

    def convert(self, objects: Sequence[object], pointer: str = "/{}") -> Rows:
        """Rows of parsed JSON objects; ``pointer`` is a row's JSON pointer, ``{}`` its index.

        Raises :class:`InvalidInput` naming each field that does not fit.
        """
        count = len(objects)
        if not 0 < count <= self.max_instances:
            allowed = f"a list of 1 to {self.max_instances} objects"
            detail = f"holds {count} rows"
            raise InvalidInput([FieldError("/instances", "instances", "rows", detail, allowed)])
        reason: _SecondLook | None = None
        if not self._free_text:
            try:
                return self._rows(msgspec.convert(objects, self._record_list), pointer)
            except _SecondLook as found:
                reason = found
            except (*UNFIT, OverflowError):
                pass
        return self._exactly(objects, pointer, reason)

    def _exactly(
        self, objects: Sequence[object], pointer: str, reason: _SecondLook | None = None
    ) -> Rows:
        """The same value by value; ``reason`` is why a faster way refused these objects.

        Pictures are decoded once altogether: here only where no other way has come to that.
        """
        errors: list[FieldError] = []
        table: list[list[Any]] = []
        allowance = self._allowance()
        for index, content in enumerate(objects):
            table.append(self._check_row(content, pointer.format(index), errors, allowance))
            if len(errors) >= _MAX_ERRORS:
                break
        if not errors and (reason is None or not self.manifest.images):
            try:
                return self._rows([self._record(*values) for values in table], pointer)
            except _SecondLook as found:
                reason = found
        if reason is not None and (reason.row is not None or not errors):
            error = reason.error(pointer, objects)
            if error.pointer not in [other.pointer for other in errors]:
                errors.append(error)
        raise InvalidInput(errors)

    def columns(self, records: Sequence[Any]) -> dict[str, Array]:
        """Records as one array per feature; see :class:`Rows` for shapes and dtypes."""
        values = zip(*map(astuple, records), strict=True)
        allowance = self._allowance()
        return {
            feature.name: _column(feature, column, allowance)
            for feature, column in zip(self.manifest.features, values, strict=True)
        }

    def feeds(self, records: Sequence[Any], inputs: Inputs) -> dict[str, Array]:
        """Records as the inputs of a graph; see :class:`Rows`. With tensors it has columns."""
        values = dict(zip(self._features, zip(*map(astuple, records), strict=True), strict=True))
        return {
            name: np.array(values[name], dtype).reshape(_SHAPES[rank])
            for name, (dtype, rank) in inputs.items()
        }

    def _allowance(self) -> image.Allowance:
        return image.Allowance(self._limits, self._quick)

    def _rows(self, records: list[Any], pointer: str) -> Rows:
        """Rows of records of the right types; raises :class:`_SecondLook` at what may not fit."""
        outside: Outside | None = None
        columns: dict[str, Array] | None = None
        if len(records) == 1 and not self._tensors:
            values = astuple(records[0])
            bounds = self._bounds
            if self._gaps:
                bounds = [entry for entry in bounds if values[entry[0]] is not None]
            for index, low, high, whole in bounds:
                value = values[index]
                if not low <= value <= high or (whole and type(value) is float):
                    outside = self._look_closely(index, (value,), pointer, outside)
        else:
            columns = self.columns(records)
            for index, low, high, _ in self._bounds:
                feature = self.manifest.features[index]
                column: Any = columns[feature.name]
                known = column if feature.finite else column[~np.isnan(column)]
                if known.size and not (low <= known.min() and known.max() <= high):
                    outside = self._look_closely(index, column.tolist(), pointer, outside)
        if outside is None:
            return Rows.of(self, records, columns=columns)
        return Rows.of(self, records, outside.warnings, columns, outside.counts)

    def _look_closely(
        self, index: int, column: Sequence[Any], pointer: str, outside: Outside | None
    ) -> Outside | None:
        """Note values outside the training range; refuse what the dtype cannot carry."""
        feature = self.manifest.features[index]
        lowest, highest = feature.limits
        low, high = feature.range or (lowest, highest)
        for place, value in enumerate(column):
            if feature.type == "integer" and value != int(value):
                raise _SecondLook(feature, "type", "is not a whole number")
            if low <= value <= high or (value != value and not feature.finite):
                continue
            if self.manifest.out_of_range == "reject" or not lowest <= value <= highest:
                raise _SecondLook(feature, "dtype", f"does not fit in {feature.element}")
            outside = outside or Outside()
            outside.add(feature, value, pointer, place)
        return outside

    def _check_row(
        self,
        content: object,
        pointer: str,
        errors: list[FieldError],
        allowance: image.Allowance,
    ) -> list[Any]:
        """The row's values in feature order; what does not fit is appended to ``errors``."""
        if not isinstance(content, dict):
            detail = f"is {kind(content)}, not an object"
            allowed = "an object of " + ", ".join(self._features)
            errors.append(FieldError(pointer, "instances", "type", detail, allowed, show(content)))
            return []
        for key in content:
            if key not in self._features:
                path, known = f"{pointer}/{escape(key)}", ", ".join(self._features)
                errors.append(
                    FieldError(path, shorten(key), "unknown-field", "is not known", known)
                )
        values: list[Any] = []
        for name, feature in self._features.items():
            where = f"{pointer}/{escape(name)}"
            if name not in content:
                errors.append(FieldError(where, name, "missing", "is missing", feature.allowed))
                continue
            value = content[name]
            if feature.type == "tensor":
                fault, value = tensor_fault(feature, value)
            elif feature.type == "image":
                fault, value = image_fault(feature, value, allowance)
            else:
                fault = scalar_fault(feature, value) or self._out_of_range(feature, value)
            if fault is not None:
                errors.append(FieldError(where, name, *fault, feature.allowed, show(content[name])))
            values.append(value)
        return values

    def _out_of_range(self, feature: Feature, value: Any) -> Fault | None:
        if self.manifest.out_of_range == "warn" or feature.range is None or value is None:
            return None
        low, high = feature.range
        return None if low <= value <= high else Fault("range", "is outside the training range")


class _SecondLook(Exception):
    """A value of the right type that may not fit; the exact way says what is wrong with it.

    With ``row`` that has been found out: it is the value of that row.
    """

    def __init__(self, feature: Feature, kind: Misfit, detail: str, row: int | None = None) -> None:
        super().__init__(feature.name)
        self.feature = feature
        self.fault = Fault(kind, detail)
        self.row = row

    def error(self, pointer: str, objects: Sequence[Any]) -> FieldError:
        """What to say of these objects; ``pointer`` is a row's, see :meth:`Validator.convert`."""
        name, allowed = self.feature.name, self.feature.allowed
        if self.row is None:
            return FieldError(f"/{escape(name)}", name, *self.fault, allowed)
        where = f"{pointer.format(self.row)}/{escape(name)}"
        return FieldError(where, name, *self.fault, allowed, show(objects[self.row][name]))


def _json_type(feature: Feature) -> Any:
    """The type msgspec decodes a feature to. 75.0 is a whole number in JSON, hence the union."""
    if feature.type == "tensor":
        return json_type(feature)
    if feature.type == "image":
        return image.JSON_TYPE
    if feature.categories is not None:
        return Literal[feature.categories]
    if not feature.finite:
        return float | None
    return {"integer": int | float, "number": float, "boolean": bool, "string": str}[feature.type]


def _column(feature: Feature, values: Sequence[Any], allowance: image.Allowance) -> Array:
    """One feature's values as an array; raises :class:`_SecondLook` at what may not fit."""
    if feature.type == "number":
        return np.array(values, dtype=np.float64)
    if feature.type == "integer":
        return _integers(feature, values)
    if feature.type in ("tensor", "image"):
        try:
            if feature.type == "image":
                return image.to_array(feature, values, allowance)
            return to_array(feature, values)
        except RowError as error:
            raise _SecondLook(feature, error.kind, error.detail, error.row) from error
        except TensorError as error:
            raise _SecondLook(feature, error.kind, error.detail) from error
    return np.array(values, dtype=bool if feature.type == "boolean" else object)


def _integers(feature: Feature, values: Sequence[Any]) -> Array:
    """int64; uint64 where the feature says so, because int64 cannot carry all of them."""
    column: Array = np.array(values)
    if column.dtype.kind == "i" and feature.element != "uint64":
        return column
    # Spelled 75.0 here and there, which makes float64 of the column, or beyond int64: value by
    # value, because float64 does not carry the large ones exactly.
    if any(type(value) is float and not value.is_integer() for value in values):
        raise _SecondLook(feature, "type", "is not a whole number")
    whole = [int(value) for value in values]
    low, high = feature.limits
    if not (low <= min(whole) and max(whole) <= high):
        raise _SecondLook(feature, "dtype", f"does not fit in {feature.element}")
    return np.array(whole, np.uint64 if feature.element == "uint64" else np.int64)
