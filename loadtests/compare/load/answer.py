"""Reads one HTTP/1.1 answer after another: its status, its end, and its body if it is no success.

What a driver does once per request must cost next to nothing, so that an answer which comes whole,
with its length, is read in one step, and nothing of a successful one is kept.
"""

from __future__ import annotations

import re

import msgspec

_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_CODING = re.compile(rb"\r\ntransfer-encoding:[^\r]*\bchunked[ \t]*\r")
_PROBLEM = re.compile(rb"\r\ncontent-type:[ \t]*application/problem\+json")
_CONNECTION = re.compile(rb"\r\nconnection:[ \t]*([^\r]*)")
#: More of an answer's head, or of a line between chunks, is not an answer but a mistake.
_HEAD_LIMIT, _LINE_LIMIT = 65_536, 4_096
#: Of a body longer than this nothing is said.
_BODY_LIMIT = 65_536


class Unreadable(Exception):
    """This is not HTTP/1.1."""


class _Problem(msgspec.Struct):
    type: str = "about:blank"


_problem = msgspec.json.Decoder(_Problem)


class Answer:
    """The answer being read. After :meth:`feed` has said True: its ``status``, and whether the
    server will ``keep`` the connection; :meth:`reset` prepares for the next one.
    """

    __slots__ = ("_body", "_chunks", "_head", "_missing", "_received", "keep", "status")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all of it."""
        self.status = 0
        self.keep = True
        self._received = b""
        self._head = b""
        self._body = b""
        self._missing: int | None = 0  # None: until the connection is closed
        self._chunks: _Chunks | None = None

    def feed(self, data: bytes) -> bool:
        """Read on; True where this was the last of the answer. Raises :class:`Unreadable`."""
        if self._head:
            return self._read_body(data)
        if self._received:
            data = self._received + data
        end = data.find(_END)
        if end < 0:
            self._received = data
            if len(data) > _HEAD_LIMIT:
                raise Unreadable
            return False
        head = self._head = data[: end + 2].lower()
        if head[:7] != b"http/1.":
            raise Unreadable
        try:
            self.status = int(head[9:12])
            at = head.find(_LENGTH)
            length = int(head[at + 17 : head.index(b"\r", at + 17)]) if at >= 0 else None
        except ValueError:
            raise Unreadable from None
        if b"\r\nconnection:" in head or head[7] != 49:  # anything but "1"
            self.keep = _keeps(head)
        body = data[end + 4 :]
        if self.status == 200 and length == len(body):
            return True
        return self._begin_body(length, body)

    def close(self) -> bool:
        """The connection was closed; True where that ended the answer, rather than cut it off."""
        return bool(self._head) and self._missing is None and self._chunks is None

    @property
    def started(self) -> bool:
        """Whether some of it has come."""
        return bool(self._head or self._received)

    @property
    def problem(self) -> str:
        """What it says instead of 200: ``503 overloaded``, or ``503`` without a problem document.

        The word is the last part of the document's ``type``.
        """
        body = self._chunks.body if self._chunks is not None else self._body
        if _PROBLEM.search(self._head):
            try:
                slug = re.split(r"[:/#]", _problem.decode(body).type)[-1]
            except (msgspec.DecodeError, UnicodeDecodeError):
                slug = ""
            if slug and slug != "blank":
                return f"{self.status} {slug}"
        return str(self.status)

    def _begin_body(self, length: int | None, body: bytes) -> bool:
        head = self._head
        if self.status in (204, 304):
            length = 0
        elif _CODING.search(head):
            self._chunks = _Chunks(self.status != 200)
            length = None
        elif length is None:
            self.keep = False
        self._missing = length
        return self._read_body(body)

    def _read_body(self, data: bytes) -> bool:
        if self._chunks is not None:
            return self._chunks.feed(data)
        if self.status != 200 and len(self._body) < _BODY_LIMIT:
            self._body += data
        if self._missing is None:
            return False
        self._missing -= len(data)
        if self._missing < 0:  # nobody has asked for more
            raise Unreadable
        return self._missing == 0


class _Chunks:
    """Finds the end of a chunked body, and keeps the body if it is wanted."""

    def __init__(self, wanted: bool) -> None:
        self.body = b""
        self._wanted = wanted
        self._received = b""
        self._left = 0  # bytes of this chunk and the line end behind it
        self._last = False

    def feed(self, data: bytes) -> bool:
        """Read on; True at the end of the body."""
        data = self._received + data
        at = 0
        while True:
            if self._left:
                part = data[at : at + self._left]
                if self._wanted and len(self.body) < _BODY_LIMIT:
                    self.body += part[: max(self._left - 2, 0)]
                at += len(part)
                self._left -= len(part)
                if self._left:
                    self._received = b""
                    return False
            end = data.find(b"\r\n", at)
            if end < 0:
                self._received = data[at:]
                if len(self._received) > _LINE_LIMIT:
                    raise Unreadable
                return False
            line, at = data[at:end], end + 2
            if self._last:
                if not line:
                    if at < len(data):
                        raise Unreadable
                    return True
                continue  # a trailer
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                raise Unreadable from None
            if size < 0:
                raise Unreadable
            self._last = size == 0
            self._left = size + 2 if size else 0


def _keeps(head: bytes) -> bool:
    """Whether the connection stays open, which is the default since HTTP/1.1."""
    found = _CONNECTION.search(head)
    said = found[1] if found else b""
    return b"close" not in said if head[:8] != b"http/1.0" else b"keep-alive" in said
