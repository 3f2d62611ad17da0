"""Bodies of ``multipart/form-data`` (RFC 7578): one part per feature."""

from __future__ import annotations

import re
from typing import Any

from gateway.errors import FieldError, InvalidInput, InvalidRequest, shorten
from gateway.models.manifest import Feature, Manifest
from gateway.models.payload import parse

MULTIPART = "multipart/form-data"
_ALLOWED = "one part per feature"
#: Bytes that the headers of a part may have together.
_MAX_HEAD = 2048
#: Characters of a boundary (RFC 2046 section 5.1.1).
_MAX_BOUNDARY = 70
#: One parameter of a header: name and value, which is quoted or a token. Matched one behind the
#: other, never searched for, so the time they take grows with the header's length and no faster.
_PARAMETER = re.compile(r';[ \t]*([^\s;="]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))[ \t]*')
_ESCAPED = re.compile(r"\\([\"\\])")


def read_form(manifest: Manifest, content_type: str, body: bytes) -> dict[str, Any]:
    """The form's parts as one object of features; ``content_type`` is the header's value.

    A picture stays bytes, a string is the part's text, everything else what the text is as JSON;
    whether it fits is the validator's to say. Raises :class:`InvalidRequest` where the body is no
    such form, and :class:`InvalidInput` at text that is not UTF-8.
    """
    features = {feature.name: feature for feature in manifest.features}
    content: dict[str, Any] = {}
    for name, value in _parts(content_type, body, len(features)):
        if name in content:
            raise _malformed(f"it has two parts named {shorten(name)!r}")
        content[name] = _value(features.get(name), name, value)
    return content


def _parts(content_type: str, body: bytes, expected: int) -> list[tuple[str, bytes]]:
    """Name and content of each part (RFC 2046 section 5.1.1)."""
    boundary = _parameter(content_type, "boundary")
    if not boundary or len(boundary) > _MAX_BOUNDARY:
        raise _malformed(f"its Content-Type names no boundary of 1 to {_MAX_BOUNDARY} characters")
    # One that is not known yet may be named as such; more would only be work.
    most = expected + 1
    delimiter = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    _, *pieces = (b"\r\n" + body).split(delimiter, most + 1)
    parts: list[tuple[str, bytes]] = []
    for piece in pieces[: most + 1]:
        if piece.startswith(b"--"):
            return parts
        if len(parts) == most:
            break
        # What follows the boundary on its line is blank; then come headers, an empty line, content.
        _, line_end, rest = piece.partition(b"\r\n")
        head, blank, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
        if blank and len(head) > _MAX_HEAD:
            raise _malformed(f"a part's head has more than {_MAX_HEAD} bytes")
        name = _name(head.decode("utf-8", "replace")) if blank else None
        if not line_end or name is None:
            raise _malformed("a part has no Content-Disposition with a name")
        parts.append((name, content))
    if len(parts) == most:
        raise _malformed(f"it has more than {expected} parts")
    raise _malformed("its last boundary is missing")


def _name(head: str) -> str | None:
    """The name that a part's headers give it, if any (RFC 7578 section 4.2)."""
    for line in re.sub(r"\r\n(?=[ \t])", "", head).split("\r\n"):
        field, _, value = line.partition(":")
        if field.strip().lower() == "content-disposition":
            kind = value.partition(";")[0].strip().lower()
            return _parameter(value, "name") if kind == "form-data" else None
    return None


def _parameter(value: str, wanted: str) -> str | None:
    """A parameter of a header's value."""
    place = value.find(";")
    while place >= 0 and (found := _PARAMETER.match(value, place)):
        name, quoted, token = found.groups()
        if name.lower() == wanted:
            return token if quoted is None else _ESCAPED.sub(r"\1", quoted)
        place = found.end()
    return None


def _value(feature: Feature | None, name: str, content: bytes) -> Any:
    if feature is None or feature.type == "image":
        return content
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        refused = FieldError(f"/{name}", name, "text", "is not valid UTF-8", feature.allowed)
        raise InvalidInput([refused]) from error
    if feature.type == "string":
        return text
    if feature.type == "number" and not feature.finite and not text.strip():
        return None  # a field that was left empty
    try:
        return parse(content)
    except InvalidRequest:
        return text  # which the validator refuses, naming the field


def _malformed(detail: str) -> InvalidRequest:
    return InvalidRequest(f"body: {detail}; allowed: {_ALLOWED}", field="body", allowed=_ALLOWED)
