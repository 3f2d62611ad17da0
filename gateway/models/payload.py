"""A body that did not decode at once, read again slowly to say what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gateway.errors import FieldError, InvalidInput, InvalidRequest, shorten

BODY = 'one JSON object of features, or {"instances": [ {…}, … ]}'
#: Longer numbers are refused unread: Python's own conversion takes quadratic time.
_MAX_DIGITS = 400


@dataclass(frozen=True, slots=True)
class Unfit:
    """A number that JSON text can spell and no dtype can carry: NaN, 1e999, 100,000 digits."""

    text: str


def parse(body: bytes) -> Any:
    """Parse JSON leniently where the field can then be named; raises :class:`InvalidRequest`."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused(f"byte {error.start} is not valid UTF-8", body[error.start :][:8]) from error
    if not text.strip():
        raise _refused("the body is empty", body)
    try:
        return json.loads(text, parse_constant=Unfit, parse_int=_integer, parse_float=_real)
    except json.JSONDecodeError as error:
        where = f"{error.msg} at line {error.lineno} column {error.colno}"
        raise _refused(f"not JSON: {where}", text[error.pos :][:40].encode()) from error
    except RecursionError as error:
        raise _refused("nested too deeply", body[:40]) from error


def instances(content: Any) -> tuple[list[Any], str]:
    """The rows of a parsed body and the pointer template of a row (``{}`` is its index)."""
    if not isinstance(content, dict):
        raise _refused(f"the body is {kind(content)}", shorten(show(content)).encode())
    if "instances" not in content:
        return [content], ""
    rows = content["instances"]
    errors = [
        FieldError(
            f"/{escape(key)}",
            shorten(key),
            "unknown-field",
            "is not known beside instances",
            "instances",
        )
        for key in content
        if key != "instances"
    ]
    if not isinstance(rows, list):
        detail = f"is {kind(rows)}, not a list"
        errors.append(
            FieldError("/instances", "instances", "type", detail, "a list of objects", show(rows))
        )
    if errors:
        raise InvalidInput(errors)
    return rows, "/instances/{}"


def kind(value: object) -> str:
    """A JSON value's type in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float | Unfit):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, bytes):
        return "bytes"
    return "a list" if isinstance(value, list) else "an object"


def show(value: object) -> str:
    """A refused value as JSON text, cut short before it is spelled out in full."""
    if isinstance(value, Unfit):
        return shorten(value.text)
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an object of {len(value)}"
    if isinstance(value, bytes):  # a part of a form
        return f"{len(value)} bytes"
    return shorten(json.dumps(value))


def escape(key: str) -> str:
    """One token of a JSON pointer (RFC 6901 section 3)."""
    return shorten(key).replace("~", "~0").replace("/", "~1")


def _refused(detail: str, sent: bytes) -> InvalidRequest:
    echo = shorten(sent[:200].decode("utf-8", "backslashreplace"))
    return InvalidRequest(f"body: {detail}; allowed: {BODY}", field="body", sent=echo, allowed=BODY)


def _integer(text: str) -> int | Unfit:
    return int(text) if len(text) <= _MAX_DIGITS else Unfit(text)


def _real(text: str) -> float | Unfit:
    value = float(text)
    return value if abs(value) != float("inf") else Unfit(text)
