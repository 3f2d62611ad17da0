from __future__ import annotations

import pytest

from loadtests.compare.load.answer import Answer, Unreadable
from tests.loadtests.compare.load.conftest import answer, problem

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#: Another form of type, of the same length.
ODD = problem(422, "x").replace(b"urn:problem-type:gateway:", b"https://example.com/#odd-")
WORDS = b"5\r\nhello\r\n1a;x=y\r\n" + b"a\r\n" * 8 + b"bb\r\n"


def bytewise(data: bytes) -> Answer:
    """The answer read byte by byte; it ends with the last one and no sooner."""
    read = Answer()
    ends = [read.feed(data[i : i + 1]) for i in range(len(data))]
    assert ends == [False] * (len(data) - 1) + [True]
    return read


def whole(data: bytes) -> Answer:
    read = Answer()
    assert read.feed(data)
    return read


@pytest.mark.parametrize("how", [whole, bytewise])
@pytest.mark.parametrize(
    ("data", "status", "keep", "words"),
    [
        (answer(), 200, True, "200"),
        (answer(body=b""), 200, True, "200"),
        (answer(header="CONNECTION: Close\r\n"), 200, False, "200"),
        (answer().replace(b"Content-Length: ", b"content-length:"), 200, True, "200"),
        (answer().replace(b"HTTP/1.1", b"HTTP/1.0"), 200, False, "200"),
        (
            answer(header="Connection: keep-alive\r\n").replace(b"/1.1", b"/1.0"),
            200,
            True,
            "200",
        ),
        (answer(500, b"oops"), 500, True, "500"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, True, "204"),
        (problem(503, "overloaded"), 503, True, "503 overloaded"),
        (ODD, 422, True, "422 odd-x"),
        (answer(503, b"{}", "Content-Type: application/problem+json\r\n"), 503, True, "503"),
        (answer(503, b"\xff", "Content-Type: application/problem+json\r\n"), 503, True, "503"),
        (answer(503, b'{"type":"x:y"}'), 503, True, "503"),
        (CHUNKED + WORDS + b"0\r\n\r\n", 200, True, "200"),
        (CHUNKED + WORDS + b"0\r\nTrailer: 1\r\n\r\n", 200, True, "200"),
        (CHUNKED + b"0\r\n\r\n", 200, True, "200"),
    ],
)
def test_answers(how: object, data: bytes, status: int, keep: bool, words: str) -> None:
    assert callable(how)
    read = how(data)
    assert (read.status, read.keep, read.problem) == (status, keep, words)


def test_chunked_problem() -> None:
    head = CHUNKED.replace(b"200 OK", b"503 X\r\nContent-Type: application/problem+json")
    assert bytewise(head + b'8\r\n{"type":\r\n5\r\n"a:b"\r\n1\r\n}\r\n0\r\n\r\n').problem == "503 b"


def test_answers_one_after_another() -> None:
    read = Answer()
    for data in (problem(503, "overloaded"), answer(), CHUNKED + WORDS + b"0\r\n\r\n", answer(404)):
        assert read.feed(data)
        assert read.status == int(data[9:12])
        read.reset()


def test_answer_that_ends_with_the_connection() -> None:
    read = Answer()
    assert not read.close()
    assert not read.feed(b"HTTP/1.1 200 OK\r\n\r\nsome")
    assert not read.feed(b" more")
    assert read.close()


def test_answer_that_is_cut_off() -> None:
    read = Answer()
    assert not read.feed(answer(body=b"12345")[:-1])
    assert not read.close()
    read.reset()
    assert not read.feed(CHUNKED + b"5\r\nhel")
    assert not read.close()


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        answer().replace(b"Content-Length: 2", b"Content-Length: two"),
        answer() + b"more",
        answer(500) + b"more",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"-5\r\n",
        CHUNKED + b"0\r\n\r\nmore",
        CHUNKED + b"1" * 5000,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
    ],
)
def test_what_cannot_be_read(data: bytes) -> None:
    with pytest.raises(Unreadable):
        Answer().feed(data)
