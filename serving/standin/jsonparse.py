"""JSON as TensorFlow Serving reads it: RapidJSON 1.1 with ``kParseNanAndInfFlag``.

Bare ``NaN``, ``Inf``, ``Infinity`` and their negatives are numbers, bytes that are not UTF-8 pass
through strings unchanged, whole numbers outside 64 bits become doubles, and an error names the
byte offset. The standard library's parser does the work; the careful one below is asked only where
the two may differ, and for the wording of errors.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from serving.standin.status import invalid_argument

#: Deepest nesting read; TensorFlow itself stops at 254 dimensions.
MAX_DEPTH = 256

_UTF8_BOM = b"\xef\xbb\xbf"
_MAX_UINT64 = 2**64 - 1
_MIN_INT64 = -(2**63)

#: What the standard library reads otherwise than RapidJSON: numbers that overflow a double or
#: 64 bits, escaped surrogates.
_SUSPICIOUS = re.compile(rb"[eE]\+?\d{3}|\d{19}|\\u[dD][89a-fA-F]")
_NUMBER = re.compile(rb"-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_NON_FINITE = re.compile(rb"-?(?:NaN|Inf(?:inity)?)")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_HEX4 = re.compile(rb"[0-9a-fA-F]{4}")
_SPACE = re.compile(rb"[ \t\r\n]*")
_ESCAPES = dict(zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True))


def parse(body: bytes) -> Any:
    """The value in ``body``; strings carry bytes that are not UTF-8 as surrogate escapes.

    Raises ``ServingError`` ``INVALID_ARGUMENT`` with RapidJSON's words and byte offset.
    """
    text = body.removeprefix(_UTF8_BOM)
    if not _SUSPICIOUS.search(text):
        try:
            return json.loads(text.decode("utf-8", "surrogateescape"))
        except (ValueError, RecursionError):
            pass  # the careful parser finds the words, or reads what only RapidJSON accepts
    return _Parser(text, offset=len(body) - len(text)).document()


class _Parser:
    """RapidJSON's recursive descent (``reader.h``), with its error codes' English texts."""

    def __init__(self, data: bytes, offset: int) -> None:
        self.data = data
        self.at = 0
        self.offset = offset
        self.depth = 0

    def document(self) -> Any:
        self._space()
        if self.at >= len(self.data):
            raise invalid_argument("JSON Parse error: The document is empty")
        value = self._value()
        self._space()
        if self.at < len(self.data):
            self._fail("The document root must not be followed by other values.")
        return value

    def _fail(self, text: str, at: int | None = None) -> NoReturn:
        where = self.offset + (self.at if at is None else at)
        raise invalid_argument(f"JSON Parse error: {text} at offset: {where}")

    def _space(self) -> None:
        match = _SPACE.match(self.data, self.at)
        assert match is not None
        self.at = match.end()

    def _peek(self) -> bytes:
        return self.data[self.at : self.at + 1]

    def _take(self, token: bytes) -> bool:
        if self.data.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def _value(self) -> Any:
        match self._peek():
            case b"n":
                return self._literal(b"null", None)
            case b"t":
                return self._literal(b"true", True)
            case b"f":
                return self._literal(b"false", False)
            case b'"':
                return self._string()
            case b"{" | b"[" as opening:
                if self.depth >= MAX_DEPTH:
                    self._fail(f"Nested deeper than {MAX_DEPTH} levels, a limit of the stand-in.")
                self.depth += 1
                container = self._object() if opening == b"{" else self._array()
                self.depth -= 1
                return container
            case _:
                return self._number()

    def _literal(self, word: bytes, value: bool | None) -> bool | None:
        for position in range(len(word)):
            if not self._take(word[position : position + 1]):
                self._fail("Invalid value.")
        return value

    def _array(self) -> list[Any]:
        self.at += 1
        self._space()
        items: list[Any] = []
        if self._take(b"]"):
            return items
        while True:
            items.append(self._value())
            self._space()
            if self._take(b"]"):
                return items
            if not self._take(b","):
                self._fail("Missing a comma or ] after an array element.")
            self._space()

    def _object(self) -> dict[str, Any]:
        self.at += 1
        self._space()
        members: dict[str, Any] = {}
        if self._take(b"}"):
            return members
        while True:
            if self._peek() != b'"':
                self._fail("Missing a name for object member.")
            name = self._string()
            self._space()
            if not self._take(b":"):
                self._fail("Missing a colon after a name of object member.")
            self._space()
            members[name] = self._value()
            self._space()
            if self._take(b"}"):
                return members
            if not self._take(b","):
                self._fail("Missing a comma or } after an object member.")
            self._space()

    def _string(self) -> str:
        self.at += 1
        parts = bytearray()
        while True:
            match = _PLAIN.match(self.data, self.at)
            assert match is not None
            parts += match.group()
            self.at = match.end()
            if self._take(b'"'):
                return parts.decode("utf-8", "surrogateescape")
            if self.at >= len(self.data) or self._peek() == b"\0":
                self._fail("Missing a closing quotation mark in string.")
            if self._peek() != b"\\":
                self._fail("Invalid escape character in string.")
            parts += self._escape()

    def _escape(self) -> bytes:
        start = self.at
        self.at += 1
        if self._take(b"u"):
            point = self._hex4(start)
            if 0xD800 <= point <= 0xDFFF:
                if point > 0xDBFF or not self._take(b"\\u"):
                    self._fail("The surrogate pair in string is invalid.", start)
                low = self._hex4(start)
                if not 0xDC00 <= low <= 0xDFFF:
                    self._fail("The surrogate pair in string is invalid.", start)
                point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00)
            return chr(point).encode()
        plain = _ESCAPES.get(self._peek()[0]) if self._peek() else None
        if plain is None:
            self._fail("Invalid escape character in string.", start)
        self.at += 1
        return bytes([plain])

    def _hex4(self, start: int) -> int:
        match = _HEX4.match(self.data, self.at)
        if match is None:
            self._fail("Incorrect hex digit after \\u escape in string.", start)
        self.at = match.end()
        return int(match.group(), 16)

    def _number(self) -> int | float:
        start = self.at
        match = _NON_FINITE.match(self.data, start)
        if match is not None:
            self.at = match.end()
            return float(match.group())
        match = _NUMBER.match(self.data, start)
        if match is None:
            self._take(b"-")
            self._fail("Invalid value.")
        self.at = match.end()
        if match.group(2) is None:
            if self._peek() == b"." and match.group(1) is None:
                self.at += 1
                self._fail("Miss fraction part in number.")
            if self._peek() in (b"e", b"E"):
                self.at += 1
                self._at_sign()
                self._fail("Miss exponent in number.")
        value = float(match.group())
        if value in (float("inf"), float("-inf")):
            self._fail("Number too big to be stored in double.", start)
        if match.group(1) is None and match.group(2) is None and len(match.group()) <= 20:
            whole = int(match.group())
            if _MIN_INT64 <= whole <= _MAX_UINT64:
                return whole
        return value

    def _at_sign(self) -> None:
        if self._peek() in (b"+", b"-"):
            self.at += 1
