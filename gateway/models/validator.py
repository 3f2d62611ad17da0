"""From a client's JSON to :class:`Rows`: a fast way for good bodies, an exact one for bad ones.

The fast way is a msgspec decoder made from the manifest. Whatever it refuses goes through
:meth:`Validator.convert`, which accepts exactly the same values and names every field that does not
fit. The TorchServe handler uses the same class, so both doors agree by construction.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from gateway.errors import FieldError, InvalidInput, shorten
from gateway.models.manifest import Feature, Manifest, format_number
from gateway.models.payload import Unfit, escape, instances, kind, parse, show
from gateway.models.rows import Array, Rows

MAX_INSTANCES = 10_000
_MAX_WARNINGS = 100
_MAX_ERRORS = 1_000
#: What a decoder raises at a body it refuses.
_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Validator:
    """Checks payloads against one manifest. Stateless after construction; safe to share."""

    def __init__(self, manifest: Manifest, max_instances: int = MAX_INSTANCES) -> None:
        self.manifest = manifest
        self.max_instances = max_instances
        self._features = {feature.name: feature for feature in manifest.features}
        self._bounds = [_bounds(feature) for feature in manifest.features]
        row: Any = msgspec.defstruct(
            "Row",
            [
                (f"f{index}", _json_type(feature), msgspec.field(name=feature.name))
                for index, feature in enumerate(manifest.features)
            ],
            forbid_unknown_fields=True,
            gc=False,
        )
        batch: Any = msgspec.defstruct(
            "Batch", [("instances", list[row])], forbid_unknown_fields=True
        )
        self._row = msgspec.json.Decoder(row)
        self._batch = msgspec.json.Decoder(batch)

    def decode(self, body: bytes) -> Rows:
        """Rows of a JSON body: one object of features, or ``{"instances": [ {…}, … ]}``.

        Raises :class:`InvalidRequest` where the body is no such JSON, and :class:`InvalidInput`
        naming each field that does not fit.
        """
        rows: list[Any] = []
        pointer = "/instances/{}"
        try:
            rows, pointer = [self._row.decode(body)], ""
        except _REFUSED:
            with contextlib.suppress(*_REFUSED):
                rows = self._batch.decode(body).instances
        if 0 < len(rows) <= self.max_instances:
            values = list(zip(*map(msgspec.structs.astuple, rows), strict=True))
            try:
                return self._rows(values, pointer)
            except _OffLimitsError:
                pass
        return self.convert(*instances(parse(body)))

    def convert(self, objects: Sequence[object], pointer: str = "/{}") -> Rows:
        """Rows of parsed JSON objects; ``pointer`` is a row's JSON pointer, ``{}`` its index.

        Raises :class:`InvalidInput` naming each field that does not fit.
        """
        count = len(objects)
        if not 0 < count <= self.max_instances:
            allowed = f"a list of 1 to {self.max_instances} objects"
            detail = f"holds {count} rows"
            raise InvalidInput([FieldError("/instances", "instances", detail, allowed)])
        errors: list[FieldError] = []
        table: list[list[Any]] = []
        for index, content in enumerate(objects):
            table.append(self._check_row(content, pointer.format(index), errors))
            if len(errors) >= _MAX_ERRORS:
                break
        if not errors:
            try:
                return self._rows(list(zip(*table, strict=True)), pointer)
            except _OffLimitsError as error:
                feature = error.feature
                detail = "differs in shape from the other rows"
                errors = [FieldError(f"/{feature.name}", feature.name, detail, feature.allowed)]
        raise InvalidInput(errors)

    def _check_row(self, content: object, pointer: str, errors: list[FieldError]) -> list[Any]:
        """The row's values in feature order; what does not fit is appended to ``errors``."""
        if not isinstance(content, dict):
            names = ", ".join(self._features)
            detail = f"is {kind(content)}, not an object"
            errors.append(
                FieldError(pointer, "instances", detail, f"an object of {names}", show(content))
            )
            return []
        for key in content:
            if key not in self._features:
                known = ", ".join(self._features)
                errors.append(
                    FieldError(f"{pointer}/{escape(key)}", shorten(key), "is not known", known)
                )
        values: list[Any] = []
        for name, feature in self._features.items():
            where = f"{pointer}/{escape(name)}"
            if name not in content:
                errors.append(FieldError(where, name, "is missing", feature.allowed))
                continue
            value = content[name]
            misfit = _misfit(feature, value) or self._out_of_range(feature, value)
            if misfit is not None:
                errors.append(FieldError(where, name, misfit, feature.allowed, show(value)))
            values.append(value)
        return values

    def _out_of_range(self, feature: Feature, value: Any) -> str | None:
        if self.manifest.out_of_range == "warn" or feature.range is None:
            return None
        low, high = feature.range
        return None if low <= value <= high else "is outside the training range"

    def _rows(self, values: Sequence[Sequence[Any]], pointer: str) -> Rows:
        """Columns and warnings of checked values, one sequence per feature."""
        columns: dict[str, Array] = {}
        warnings: list[str] = []
        for feature, column, bounds in zip(
            self.manifest.features, values, self._bounds, strict=True
        ):
            columns[feature.name] = _column(feature, column)
            if bounds is not None and not (bounds[0] <= min(column) and max(column) <= bounds[1]):
                self._warn(feature, column, pointer, warnings)
        count = len(values[0])
        if len(warnings) > _MAX_WARNINGS:
            more = len(warnings) - _MAX_WARNINGS
            warnings[_MAX_WARNINGS:] = [f"{more} more values are outside their training range"]
        return Rows(columns, count, warnings)

    def _warn(
        self, feature: Feature, column: Sequence[Any], pointer: str, warnings: list[str]
    ) -> None:
        lowest, highest = feature.limits
        low, high = feature.range or (lowest, highest)
        for index, value in enumerate(column):
            if low <= value <= high:
                continue
            if self.manifest.out_of_range == "reject" or not lowest <= value <= highest:
                raise _OffLimitsError(feature)
            where = f"{pointer.format(index)}/{feature.name}".lstrip("/")
            span = f"{format_number(low)}–{format_number(high)}"
            warnings.append(f"{where}: {format_number(value)} is outside the training range {span}")


class _OffLimitsError(Exception):
    """A value the fast way took although it does not fit; the exact way says why."""

    def __init__(self, feature: Feature) -> None:
        super().__init__(feature.name)
        self.feature = feature


def _bounds(feature: Feature) -> tuple[float, float] | None:
    """Between these a value needs neither a warning nor a second look."""
    if feature.type not in ("integer", "number"):
        return None
    return feature.range or feature.limits


def _json_type(feature: Feature) -> Any:
    """The type msgspec decodes a feature to. 75.0 is a whole number in JSON, hence the union."""
    if feature.type == "tensor":
        kind = np.dtype("O" if feature.element == "string" else feature.element).kind
        element: Any = {"O": str, "f": float, "b": bool}.get(kind, int)
        for _ in feature.shape:
            element = list[element]
        return element
    if feature.categories is not None:
        return Literal[feature.categories]
    return {"integer": int | float, "number": float, "boolean": bool, "string": str}[feature.type]


def _misfit(feature: Feature, value: object) -> str | None:
    """What is wrong with a parsed value, or None where it fits the feature."""
    if feature.type == "tensor":
        try:
            _tensor(feature, [msgspec.convert(value, _json_type(feature))])
        except msgspec.ValidationError as error:
            return f"does not fit: {error}"
        except _OffLimitsError:
            return "does not fit in shape or size"
        return None
    if feature.type == "string":
        if not isinstance(value, str):
            return f"is {kind(value)}, not a string"
        if feature.categories is not None and value not in feature.categories:
            return "is not a known category"
        return None if _encodable(value) else "is not valid Unicode"
    if feature.type == "boolean":
        return None if isinstance(value, bool) else f"is {kind(value)}, not a boolean"
    if isinstance(value, Unfit):
        return "is no number that can be computed with"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"is {kind(value)}, not a number"
    low, high = feature.limits
    if not low <= value <= high:
        return f"does not fit in {feature.element}"
    if feature.type == "integer" and value != int(value):
        return "is not a whole number"
    return None


def _encodable(text: str) -> bool:
    """Whether the string is Unicode text; JSON can spell lone surrogates, which are not."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _column(feature: Feature, values: Sequence[Any]) -> Array:
    """One feature's values as an array; see :class:`Rows` for the dtypes."""
    if feature.type == "number":
        return np.array(values, dtype=np.float64)
    if feature.type == "integer":
        column: Array = np.array(values)
        if column.dtype.kind == "i":
            return column
        if column.dtype.kind != "f" or not (column == np.floor(column)).all():
            raise _OffLimitsError(feature)
        return column.astype(np.int64)
    if feature.type == "tensor":
        return _tensor(feature, values)
    return np.array(values, dtype=bool if feature.type == "boolean" else object)


def _tensor(feature: Feature, values: Sequence[Any]) -> Array:
    """Rows of nested lists as one array of shape (rows, *shape); ragged rows do not fit."""
    try:
        wide: Array = np.array(values, dtype=object if feature.element == "string" else None)
    except ValueError as error:
        raise _OffLimitsError(feature) from error
    expected = (len(values), *feature.shape)
    if len(wide.shape) != len(expected) or any(
        want is not None and got != want for got, want in zip(wide.shape, expected, strict=True)
    ):
        raise _OffLimitsError(feature)
    if feature.element == "string":
        if not all(_encodable(str(text)) for text in wide.ravel()):
            raise _OffLimitsError(feature)
        return wide
    if feature.element != "bool" and wide.size:
        low, high = feature.limits
        if wide.dtype.kind not in "iuf" or not (low <= wide.min() and wide.max() <= high):
            raise _OffLimitsError(feature)
    return wide.astype(feature.element)
