"""The results as a JSON file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from loadtests.compare.errors import CompareError
from loadtests.compare.results import FORMAT, Results


class _Form(msgspec.Struct):
    """Of a document of any form: which one it is."""

    format: int


def write_json(results: Results, path: Path) -> None:
    """Write the whole document; a number that is not finite becomes ``null``.

    Raises:
        CompareError: It cannot be written there.
    """
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
    except OSError as error:
        raise CompareError(f"{path}: cannot be written: {error.strerror}") from None


def read_json(path: Path) -> Results:
    """The document that :func:`write_json` wrote.

    Raises:
        CompareError: It is not there, is of another form, or is no such document.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise CompareError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        form = msgspec.json.decode(text, type=_Form).format
        if form != FORMAT:
            raise CompareError(f"{path}: is a comparison of form {form}; only {FORMAT} is known")
        return msgspec.json.decode(text, type=Results)
    except msgspec.DecodeError as error:
        raise CompareError(f"{path}: is not the JSON of a comparison: {error}") from None
