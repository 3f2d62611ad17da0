"""A user's own rows, from a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from gateway.errors import InvalidInput, InvalidRequest
from gateway.models.manifest import Feature, Manifest
from gateway.models.payload import instances, parse
from gateway.models.validator import Validator
from loadtests.compare.errors import CompareError

_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def from_file(path: Path, manifest: Manifest) -> list[dict[str, Any]]:
    """The payloads in a file that ends in ``.csv``, ``.json``, ``.jsonl`` or ``.ndjson``.

    CSV has the features' names in its first line, a tensor as JSON and a picture as base64. JSON is
    a list of objects, one object, or ``{"instances": […]}``; JSON Lines has an object a line.
    Columns and keys that are no feature are left out, so that a table may also hold what the model
    is to predict.
    Raises :class:`CompareError` naming line and field.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise CompareError(f"{path}: rows are read from files in {', '.join(_READERS)}")
    validator = Validator(manifest)
    payloads = []
    try:
        for where, content in read(path, manifest):
            payload = _features(content, manifest)
            try:
                validator.convert([payload], "")
            except InvalidInput as error:
                raise CompareError(f"{path}: {where}: {error.detail}") from error
            payloads.append(payload)
    except OSError as error:
        raise CompareError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CompareError(f"{path}: byte {error.start} is not valid UTF-8") from error
    if not payloads:
        raise CompareError(f"{path}: holds no rows")
    return payloads


def _features(content: Any, manifest: Manifest) -> Any:
    """Only the features, in the manifest's order; what is no object is left to the validator."""
    if not isinstance(content, dict):
        return content
    return {f.name: content[f.name] for f in manifest.features if f.name in content}


_Read = Callable[[Path, Manifest], Iterator[tuple[str, Any]]]


def _csv(path: Path, manifest: Manifest) -> Iterator[tuple[str, Any]]:
    # utf-8-sig: spreadsheets put a mark before the first column's name.
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        try:
            missing = [f.name for f in manifest.features if f.name not in (reader.fieldnames or ())]
            if missing:
                raise CompareError(f"{path}: line 1: no column {', '.join(missing)}")
            for line in reader:
                where = f"line {reader.line_num}"
                cells = {f.name: _cell(path, where, f, line[f.name]) for f in manifest.features}
                yield where, cells
        except csv.Error as error:
            raise CompareError(f"{path}: line {reader.line_num}: {error}") from error


def _cell(path: Path, where: str, feature: Feature, text: str | None) -> Any:
    """A cell as JSON would give it; raises :class:`CompareError` where it is no such value."""
    try:
        return _CELLS[feature.type](
            (text or "") if feature.type == "string" else (text or "").strip()
        )
    except (ValueError, KeyError) as error:
        raise CompareError(
            f"{path}: {where}: {feature.name}: {text!r} is not {feature.allowed}"
        ) from error


def _number(text: str) -> float:
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _integer(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return _number(text)  # 75.0; whether it is whole is the validator's to say


_CELLS: dict[str, Callable[[str], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": lambda text: _TRUTH[text.lower()],
    "string": str,
    "tensor": json.loads,
    "image": str,
}


def _json(path: Path, manifest: Manifest) -> Iterator[tuple[str, Any]]:
    try:
        content = parse(path.read_bytes())
        rows = content if isinstance(content, list) else instances(content)[0]
    except InvalidRequest as error:
        raise CompareError(f"{path}: {error.detail}") from error
    for number, row in enumerate(rows, 1):
        yield f"row {number}", row


def _json_lines(path: Path, manifest: Manifest) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield f"line {number}", msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CompareError(f"{path}: line {number}: {error}") from error


_READERS: dict[str, _Read] = {
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
}
