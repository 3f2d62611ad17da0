"""Makes bodies that are nearly right: JSON with members changed, and bytes with bits changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any

#: No body is longer, in bytes.
LARGEST = 64 * 1024

#: JSON texts, or what looks like one, that may stand in place of a value.
VALUES = [
    *("null", "true", "false", "[]", "{}", "[[]]", "[[],[]]", "[{}]", "[null]", "[true]"),
    *("0", "-0", "-0.0", "1", "2.0", "1.5", "-1", "99", "1e2", "01", "+1", ".5", "1.", "0x1", "1e"),
    *("127", "128", "-129", "255", "256", "32767", "32768", "-32769", "65504", "65519", "65520"),
    *("9007199254740993", "9223372036854775807", "9223372036854775808", "9223372036854775807.0"),
    *("-9223372036854775808", "-9223372036854775809", "18446744073709551615"),
    *("18446744073709551616", "3.4028234663852886e38", "3.4028235e38", "1e39", "1.8e308"),
    *("1e308", "-1e308", "1e309", "1e400", "-1e400", "5e-324", "1e-400", "1e99999999999", "0e999"),
    *("NaN", "Infinity", "-Infinity", "nan", "undefined", "None", "'a'", "a", "/**/1"),
    *("9" * 400, "9" * 401, "-" + "9" * 5000, "0." + "3" * 5000, "1" + "0" * 400, "1e" + "9" * 400),
    *("[1]", "[1,2]", "[1.0,2]", "[1.5,2]", "[1,2,3]", "[[1,2]]", "[[1,2],[3]]", "[[[1]]]"),
    *("[18446744073709551615,1]", "[-9223372036854775809,1]", "[1e400,1]", "[NaN,1]", '["1",2]'),
    *('""', '"a"', '"B"', '"22"', r'"\u0000"', r'"\ud800"', r'"\udfff\ud800"', r'"\ud83d\ude00"'),
    *('"\x00"', '"\n"', r'"\x41"', r'"\u12"', '"é"', '"' + "x" * 5000 + '"', '"open'),
    *('{"b64":""}', '{"b64":"AQ=="}', '{"b64":"AQACAA=="}', '{"b64":"AQ"}', '{"b64":"!!!!"}'),
    *('{"b64":"AAAAAAAAAAAAAAAAAAAAAA=="}', '{"b64":"AADAf///f38="}', '{"b64":1}'),
    *('{"b64":"AQ==","b64":"AQACAA=="}', '{"b64":"AQ==","more":1}', '{"instances":[]}'),
]
#: Names that may stand in place of a member's.
KEYS = [
    *('"extra"', '""', '"instances"', r'"\ud800"', r'"\u0000"', '"a/b~c"', '"' + "k" * 1000 + '"'),
    *("null", "1", "bare"),
]
#: Bytes that may be put anywhere.
PIECES = [
    *(b"\x00", b"\xff", b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xe2\x80\xa8", b"\x7f", b"\x1b", b"\\u", b"\\"),
    *(b"{", b"}", b"[", b"]", b'"', b",", b":", b"-", b".", b"e", b"0", b"9" * 30, b" ", b"\r\n\t"),
]


class Mutator:
    """Endless bodies around one row that fits, each of :data:`LARGEST` bytes at most."""

    def __init__(self, fitting: Mapping[str, Any], random: Random) -> None:
        self._members = [(json.dumps(name), json.dumps(v)) for name, v in fitting.items()]
        self._random = random

    def body(self) -> bytes:
        """The next body."""
        body = self._content().encode("utf-8", "surrogatepass")
        if self._random.random() < 0.35:
            for _ in range(self._random.randint(1, 3)):
                body = self._bytes(body)
        return body[:LARGEST]

    def _content(self) -> str:
        random = self._random
        chance = random.random()
        if chance < 0.5:
            return self._row()
        if chance < 0.97:
            rows = ",".join(self._row() for _ in range(random.randint(1, 3)))
            more = "" if random.random() < 0.9 else f",{random.choice(KEYS)}:{self._value()}"
            return f'{{"instances":[{rows}]{more}}}'
        if chance < 0.98:
            return self._value()
        many = ",".join([random.choice((self._row(), self._value()))] * random.randint(1, 200))
        return f'{{"instances":[{many}]}}'

    def _row(self) -> str:
        members = list(self._members)
        for _ in range(self._random.choice((0, 0, 0, 1, 1, 2))):
            self._change(members)
        texts = ",".join(f"{name}:{value}" for name, value in members)
        return f"{{{texts}}}"

    def _change(self, members: list[tuple[str, str]]) -> None:
        """One member is another's value, is there twice, missing, misnamed, or elsewhere."""
        place = self._random.randrange(len(members))
        name, value = members[place]
        how = self._random.random()
        if how < 0.7:
            members[place] = name, self._value()
        elif how < 0.8:
            members.append((name, self._value()))
        elif how < 0.85 and len(members) > 1:
            del members[place]
        elif how < 0.9:
            members[place] = self._random.choice(KEYS), value
        else:
            self._random.shuffle(members)

    def _value(self) -> str:
        random = self._random
        if random.random() < 0.98:
            return random.choice(VALUES)
        depth = random.randint(1, 5_000)
        start, end = random.choice((("[", "]"), ('{"a":', "}"), ("[[],", "]")))
        return start * depth + random.choice(VALUES) + end * random.choice((depth, depth, 0))

    def _bytes(self, body: bytes) -> bytes:
        """A bit is another, or a piece is put in, left out or repeated, or the rest is missing."""
        random = self._random
        place = random.randrange(len(body) + 1)
        stop = min(place + random.randint(1, 8), len(body))
        how = random.randrange(5)
        if how == 0 and place < len(body):
            flipped = body[place] ^ (1 << random.randrange(8))
            return body[:place] + bytes([flipped]) + body[place + 1 :]
        if how == 1:
            return body[:place] + random.choice(PIECES) + body[place:]
        if how == 2:
            return body[:place] + body[stop:]
        if how == 3:
            times = random.choice((2, 3, 50, LARGEST // 8))
            return body[:place] + body[place:stop] * times + body[stop:]
        return body[:place]
