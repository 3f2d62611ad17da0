"""The JSON reader: where it must differ from the standard library's, and RapidJSON's wording."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.standin import jsonparse
from serving.standin.status import ServingError


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        (b"", "The document is empty", None),
        (b"  \n", "The document is empty", None),
        (b"nul", "Invalid value.", 3),
        (b"[tru]", "Invalid value.", 4),
        (b"-x", "Invalid value.", 1),
        (b"{} {}", "The document root must not be followed by other values.", 3),
        (b"[1,]", "Invalid value.", 3),
        (b"[1 2]", "Missing a comma or ] after an array element.", 3),
        (b"{1: 2}", "Missing a name for object member.", 1),
        (b'{"a" 1}', "Missing a colon after a name of object member.", 5),
        (b'{"a": 1 "b"}', "Missing a comma or } after an object member.", 8),
        (b'["a', "Missing a closing quotation mark in string.", 3),
        (b'["\\x"]', "Invalid escape character in string.", 2),
        (b'["\\u12g4"]', "Incorrect hex digit after \\u escape in string.", 2),
        (b'["\\ud800x"]', "The surrogate pair in string is invalid.", 2),
        (b'["\\udc00"]', "The surrogate pair in string is invalid.", 2),
        (b"[1.]", "Miss fraction part in number.", 3),
        (b"[1e+]", "Miss exponent in number.", 4),
        (b"[1e400]", "Number too big to be stored in double.", 1),
        (b"\xef\xbb\xbf[01]", "Missing a comma or ] after an array element.", 5),
    ],
)
def test_errors(text: bytes, message: str, offset: int | None) -> None:
    with pytest.raises(ServingError) as caught:
        jsonparse.parse(text)
    where = "" if offset is None else f" at offset: {offset}"
    assert caught.value.message == f"JSON Parse error: {message}{where}"
    assert caught.value.http_status == 400


def test_what_only_rapidjson_accepts() -> None:
    assert jsonparse.parse(b"[Inf, -Inf, -Infinity]") == [math.inf, -math.inf, -math.inf]
    assert math.isnan(jsonparse.parse(b"[-NaN]")[0])
    assert jsonparse.parse(b"\xef\xbb\xbf[1]") == [1]
    assert jsonparse.parse(b'["\xff"]') == ["\udcff"]


def test_whole_numbers_beyond_64_bits_are_doubles() -> None:
    low, high, below, above = jsonparse.parse(
        b"[-9223372036854775808, 18446744073709551615, -9223372036854775809, 18446744073709551616]"
    )
    assert (low, high) == (-(2**63), 2**64 - 1)
    assert (type(low), type(high), type(below), type(above)) == (int, int, float, float)


def test_escaped_characters() -> None:
    text = b'["\\u00e9\\n\\/\\ud83d\\ude00", "\\"\\\\\\b\\f\\r\\t"]'
    assert jsonparse.parse(text) == ["é\n/😀", '"\\\b\f\r\t']


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_the_careful_parser_agrees_with_the_standard_library(value: object, ascii_: bool) -> None:
    try:
        text = json.dumps(value, ensure_ascii=ascii_, indent=1).encode()
    except UnicodeEncodeError:
        return
    assert jsonparse._Parser(text, 0).document() == json.loads(text)
