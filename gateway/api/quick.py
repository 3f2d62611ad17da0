"""A response that leaves in one write, for the door where every step per request counts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import cast

from aiohttp import web
from aiohttp.http import SERVER_SOFTWARE

#: Bodies beyond this go aiohttp's way, which waits for slow readers.
_MAX_BODY = 64 * 1024
_HEAD = (
    "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%sContent-Length: %d\r\nDate: %s\r\nServer: "
    + SERVER_SOFTWARE
    + "\r\n\r\n"
)


def respond(
    request: web.BaseRequest, body: bytes, content_type: str, headers: Mapping[str, str]
) -> web.StreamResponse:
    """A 200 with this body; header values must be free of line breaks.

    In the plain case (HTTP/1.1, the connection stays open, the client has taken the last answer,
    a small body) it is written here and now, and what the gateway does for its own sake, like
    counting, comes after; in any other case it is an ordinary :class:`web.Response`. Both say the
    same on the wire but for the order of the headers. To be returned as it is, after the whole
    body of the request has been read.
    """
    transport = request.transport
    if (
        len(body) <= _MAX_BODY
        and request.version == (1, 1)
        and request.keep_alive
        and transport is not None
        and not transport.get_write_buffer_size()
    ):
        extra = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = _HEAD % (content_type, extra, len(body), http_date())
        transport.write(head.encode("latin-1") + body)
        # aiohttp asks no more of a response than what _Written offers.
        return cast("web.StreamResponse", _WRITTEN)
    return web.Response(body=body, content_type=content_type, headers=headers)


class _Written:
    """Tells aiohttp that there is nothing left to do."""

    status = 200
    keep_alive = True

    async def prepare(self, request: web.BaseRequest) -> None:
        """Called once the handler has returned; the head is written already."""

    async def write_eof(self) -> None:
        """Called after that; the body is written already."""


_WRITTEN = _Written()
_date = (0, "")


def http_date() -> str:
    """The ``Date`` header's value, made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True))
    return _date[1]
