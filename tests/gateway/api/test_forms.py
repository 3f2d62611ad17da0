"""Forms: what any client's encoder writes is read, and nothing else is."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.forms import read_form
from gateway.errors import InvalidInput, InvalidRequest
from gateway.models.manifest import BackendSpec, Feature, Manifest, Output

MANIFEST = Manifest(
    "m",
    (
        Feature("photo", "image", size=(2, 2)),
        Feature("note", "string"),
        Feature("count", "integer"),
        Feature("sure", "boolean"),
        Feature("list", "tensor", shape=(2,)),
    ),
    (Output("y"),),
    {"onnx": BackendSpec({"only": {}})},
)
TYPE = "multipart/form-data; boundary=b"


def by_requests(parts: dict[str, Any]) -> tuple[str, bytes]:
    """Content type and body as the library ``requests`` writes them."""
    files = {name: (None, content) for name, content in parts.items()}
    made = requests.Request("POST", "http://x", files=files).prepare()
    assert isinstance(made.body, bytes)
    return made.headers["Content-Type"], made.body


def by_aiohttp(parts: dict[str, Any]) -> tuple[str, bytes]:
    """The same as aiohttp writes them."""

    async def write() -> tuple[str, bytes]:
        form = aiohttp.FormData(quote_fields=False)
        for name, content in parts.items():
            form.add_field(name, content, filename="a file.png" if name == "photo" else None)
        payload = form()
        return payload.content_type, await payload.as_bytes()

    return asyncio.run(write())


_texts = st.text(st.characters(codec="utf-8"))


@settings(max_examples=60)
@given(st.binary(), _texts, st.sampled_from([by_requests, by_aiohttp]))
def test_what_was_put_in_comes_out(photo: bytes, note: str, write: Any) -> None:
    parts = {"photo": photo, "note": note, "count": "-3", "sure": "true", "list": "[1, 2.5]"}
    expected = {"photo": photo, "note": note, "count": -3, "sure": True, "list": [1, 2.5]}
    assert read_form(MANIFEST, *write(parts)) == expected


def part(name: str, content: bytes = b"x") -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


def test_what_is_around_the_parts_does_not_matter() -> None:
    body = b"a preamble\r\n" + part("note", b"\r\n--") + b"--b-- \t\r\nan epilogue --b"
    assert read_form(MANIFEST, TYPE, body) == {"note": "\r\n--"}
    blank = b'--b \t\r\ncontent-disposition: FORM-DATA; filename="f"; name=note\r\n\r\n\r\n--b--'
    assert read_form(MANIFEST, 'multipart/form-data; charset=utf-8; boundary="b"', blank) == {
        "note": ""
    }


def test_text_that_is_no_json_is_left_to_the_validator() -> None:
    body = part("count", b"three") + part("unknown", b"\xff") + b"--b--"
    assert read_form(MANIFEST, TYPE, body) == {"count": "three", "unknown": b"\xff"}


@pytest.mark.parametrize(
    ("content_type", "body", "said"),
    [
        ("multipart/form-data", part("note") + b"--b--", "boundary"),
        ("multipart/form-data; boundary=", part("note") + b"--b--", "boundary"),
        ("multipart/form-data; boundary=" + "b" * 71, part("note") + b"--b--", "boundary"),
        (TYPE, b"", "last boundary"),
        (TYPE, b"--c--", "last boundary"),
        (TYPE, part("note"), "last boundary"),
        (TYPE, part("note") * 2 + b"--b--", "two parts named 'note'"),
        (TYPE, b"--b\r\n\r\nx\r\n--b--", "no Content-Disposition"),
        (
            TYPE,
            b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
            "no Content-Disposition",
        ),
        (TYPE, b"--b\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--b--", "no Content-"),
        (TYPE, b"--bx\r\n--b--", "no Content-Disposition"),
        (TYPE, b"".join(part(f"f{i}") for i in range(50)) + b"--b--", "more than 5 parts"),
        (TYPE, b"\r\n--b" * 100_000, "no Content-Disposition"),
    ],
)
def test_what_is_no_form_is_refused(content_type: str, body: bytes, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as caught:
        read_form(MANIFEST, content_type, body)
    assert caught.value.status == 400
    assert caught.value.members["field"] == "body"


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('form-data; filename="a; name=b"; name=c', "c"),
        ('form-data; filename="a\\"; name=b"; name=c', "c"),
        ('form-data ; NAME = "c d" ; x=y', "c d"),
        ('form-data;name="c\\"d\\\\"', 'c"d\\'),
        ('form-data;\r\n name="c"', "c"),
        ("form-data; name=", ""),
        ("form-data; name=größer", "größer"),
    ],
)
def test_a_name_is_read_as_it_is_meant(disposition: str, name: str) -> None:
    head = f"Content-Type: text/plain; name=no\r\nContent-Disposition: {disposition}\r\n\r\n"
    body = b"--b\r\n" + head.encode() + b"x\r\n--b--"
    assert list(read_form(MANIFEST, TYPE, body)) == [name]


def test_reading_heads_takes_no_longer_than_they_are() -> None:
    started = time.process_time()  # in which others cannot be
    for value in (";" * 500_000, ';a="b"' * 100_000, ';a="' * 100_000, "; name" * 100_000):
        head = f"--b\r\nContent-Disposition: form-data{value}\r\n\r\nx\r\n--b--"
        with pytest.raises(InvalidRequest, match="a part's head has more than 2048 bytes"):
            read_form(MANIFEST, TYPE, head.encode())
        with pytest.raises(InvalidRequest, match="boundary"):
            read_form(MANIFEST, "multipart/form-data" + value, b"")
    many = "multipart/form-data" + ";a=b" * 300_000 + ";boundary=b"
    assert read_form(MANIFEST, many, b"--b--") == {}
    # That was 0.2 s; were each parameter to cost a copy of the rest, it would be 6 s.
    assert time.process_time() - started < 3


def test_text_that_is_not_utf8_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_form(MANIFEST, TYPE, part("note", b"\xff") + b"--b--")
    assert caught.value.errors[0].field == "note"


@settings(max_examples=150)
@given(st.binary(max_size=60), st.sampled_from(["", "--b\r\n", "\r\n--b", "--b--"]), st.binary())
def test_any_bytes_are_read_or_refused(start: bytes, middle: str, end: bytes) -> None:
    try:
        read_form(MANIFEST, TYPE, start + middle.encode() + end)
    except InvalidRequest as error:
        assert error.detail.startswith(("body: ", "note: "))  # noqa: PT017
