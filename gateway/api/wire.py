"""The bytes of a response that does not go through aiohttp."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

import msgspec
from aiohttp.http import SERVER_SOFTWARE

from gateway.errors import GatewayError
from gateway.tracing import new_request_id

ID_HEADER = "X-Request-Id"
PROBLEM_TYPE = "application/problem+json"

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_date = (0, "")


def head(status: int, headers: Mapping[str, str], length: int) -> bytes:
    """The response's head; header values must be free of line breaks, ``length`` is in bytes."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\n{lines}Content-Length: {length}\r\n"
        f"Date: {http_date()}\r\nServer: {SERVER_SOFTWARE}\r\n\r\n"
    ).encode("latin-1")


def http_date() -> str:
    """The ``Date`` header's value, made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True))
    return _date[1]


def problem(error: GatewayError, identity: str = "") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body for an error; without an ``identity`` the request gets one."""
    identity = identity or new_request_id()
    headers = error.headers | {"Content-Type": PROBLEM_TYPE, ID_HEADER: identity}
    return error.status, headers, msgspec.json.encode(error.problem(identity))


def closing(error: GatewayError) -> bytes:
    """The whole response for an error after which the connection is closed."""
    status, headers, content = problem(error)
    return head(status, headers | {"Connection": "close"}, len(content)) + content
