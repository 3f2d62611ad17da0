"""Bodies of ``multipart/form-data`` (RFC 7578): one part per feature."""

from __future__ import annotations

from email import message_from_string
from email.message import Message
from typing import Any

from gateway.errors import FieldError, InvalidInput, InvalidRequest, shorten
from gateway.models.manifest import Feature, Manifest
from gateway.models.payload import parse

MULTIPART = "multipart/form-data"
_ALLOWED = "one part per feature"


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
    boundary = _parameter(content_type, "Content-Type", "boundary")
    if not boundary:
        raise _malformed("its Content-Type names no boundary")
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
        name = _parameter(head.decode("utf-8", "replace").strip(), "", "name") if blank else None
        if not line_end or name is None:
            raise _malformed("a part has no Content-Disposition with a name")
        parts.append((name, content))
    if len(parts) == most:
        raise _malformed(f"it has more than {expected} parts")
    raise _malformed("its last boundary is missing")


def _parameter(text: str, header: str, parameter: str) -> str | None:
    """A parameter of a header; without ``header`` of a part's Content-Disposition."""
    if header:
        message = Message()
        message[header] = text.replace("\r", " ").replace("\n", " ")
    else:
        message, header = message_from_string(text), "Content-Disposition"
        if message.get_content_disposition() != "form-data":
            return None
    value = message.get_param(parameter, header=header)
    return value[2] if isinstance(value, tuple) else value


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
    try:
        return parse(content)
    except InvalidRequest:
        return text  # which the validator refuses, naming the field


def _malformed(detail: str) -> InvalidRequest:
    return InvalidRequest(f"body: {detail}; allowed: {_ALLOWED}", field="body", allowed=_ALLOWED)
