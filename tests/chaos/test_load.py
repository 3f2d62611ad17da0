"""The driver itself: what it calls a failure, what it calls a latency, whom it sends to."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise, takewhile
from statistics import fmean, pstdev

import pytest

from tests.chaos.driver import arrivals
from tests.chaos.load import Load, drive
from tests.chaos.plan import Plan, binomial_interval, p99_ms, quantile, unanswered

pytestmark = pytest.mark.alone

GOOD = {"backend": "b", "lineage": "l", "version": "3", "predictions": [{"y": 1.5}, {"y": 2.5}]}

Answer = Callable[[str, asyncio.StreamWriter], Awaitable[bool]]


def response(
    content: object, status: int = 200, kind: str = "application/json", **more: str
) -> bytes:
    """A response as bytes; ``more`` are headers."""
    body = json.dumps(content).encode()
    headers = {"Content-Type": kind, "Content-Length": str(len(body))} | more
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[str]:
    """Has ``answer`` write the response to each path until it returns False; then it hangs up."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length:")[2].split()[0])
                await reader.readexactly(length)
                if not await answer(head.split()[1].decode(), writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    listening = await asyncio.start_server(client, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        listening.close()


def plan(*urls: str, **options: object) -> Plan:
    return Plan(**{"urls": list(urls), "bodies": ["{}"], "connections": 1} | options)  # type: ignore[arg-type]


async def test_it_notes_answers_and_problems() -> None:
    problem = {"type": "urn:problem-type:gateway:overloaded", "status": 503}
    answers = [
        response(GOOD),
        response(problem, 503, "application/problem+json"),
        response(problem, 502, "application/problem+json"),
        response(problem, 503),
        response("?"),
    ]

    async def answer(path: str, writer: asyncio.StreamWriter) -> bool:
        content = answers.pop(0)
        writer.write(content[:30])  # not all at once
        await asyncio.sleep(0.01)
        writer.write(content[30:])
        return True

    async with server(answer) as url:
        good, refused, lying, untyped, unread = await drive(plan(url, requests=5))
    assert (good.status, good.backend, good.lineage, good.version) == (200, "b", "l", "3")
    assert good.values == [1.5, 2.5]
    assert (refused.status, refused.problem) == (503, "overloaded")
    assert (lying.status, lying.problem) == (502, "not a problem document")
    assert (untyped.status, untyped.problem) == (503, "not a problem document")
    assert unread.problem.startswith("cannot be read")


async def test_an_unannounced_hang_up_loses_a_request() -> None:
    async def answer(path: str, writer: asyncio.StreamWriter) -> bool:
        if path.startswith("/silent"):
            return False
        writer.write(response(GOOD, Connection="close"))
        return False

    async with server(answer) as url:
        polite = await drive(plan(url, requests=20, path="/polite"))
        silent = await drive(plan(url, requests=20, path="/silent"))
    assert not unanswered(polite)
    assert len(unanswered(silent)) == 20
    assert silent[0].problem == "closed before the answer"
    (refused,) = await drive(plan(url, requests=1))  # nobody listens there any longer
    assert refused.problem.startswith("cannot connect")


async def test_an_open_loop_counts_the_wait_for_a_connection() -> None:
    """The server stalls once; those who were due meanwhile have waited, too."""
    stalled = False

    async def answer(path: str, writer: asyncio.StreamWriter) -> bool:
        nonlocal stalled
        if not stalled:
            stalled = True
            await asyncio.sleep(0.5)
        writer.write(response(GOOD))
        return True

    async with server(answer) as url:
        records = await drive(plan(url, rate=200.0, seconds=2.0))
    assert not unanswered(records)
    assert 300 < len(records) < 500
    waited = [record for record in records if record.latency_s > 0.1]
    assert 50 < len(waited) < 150
    assert quantile((record.latency_s for record in records), 0.5) < 0.05
    assert p99_ms(records) > 300


def test_arrivals_are_random_and_come_again() -> None:
    once = list(takewhile(lambda due: due < 100, arrivals(50.0, 0.0)))
    assert 4_700 < len(once) < 5_300  # 5,000 ± 4 standard deviations
    gaps = [later - earlier for earlier, later in pairwise(once)]
    assert 0.9 < pstdev(gaps) / fmean(gaps) < 1.1  # 1 for an exponential distribution
    periodic = list(takewhile(lambda due: due < 6, arrivals(50.0, 2.0)))
    count = len(periodic) // 3
    assert periodic[:count] == once[:count]
    again = [due + 2 for due in periodic[: 2 * count]]
    assert periodic[count:] == pytest.approx(again)


async def test_it_follows_readiness() -> None:
    ready = [True, True]

    def replica(number: int) -> Answer:
        async def answer(path: str, writer: asyncio.StreamWriter) -> bool:
            status = 200 if path != "/readyz" or ready[number] else 503
            writer.write(response(GOOD, status))
            await asyncio.sleep(0.001)
            return True

        return answer

    async with server(replica(0)) as first, server(replica(1)) as second:
        watched = plan(first, second, connections=4, follow=True, until_told=True)
        async with Load(watched) as load:
            await asyncio.sleep(0.3)
            ready[0], moment = False, time.monotonic()
            await asyncio.sleep(0.5)
            ready[1], none = False, time.monotonic()
            await asyncio.sleep(0.3)
            records = await load.finish()
    assert {r.replica for r in records if r.at < moment} == {0, 1}
    assert {r.replica for r in records if moment + 0.2 < r.at < none} == {1}
    assert {r.problem for r in records if r.at > none + 0.2} == {"no replica is ready"}


async def test_keys_and_bodies_take_turns() -> None:
    heads: list[bytes] = []

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(8):
            heads.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(2))
            writer.write(response(GOOD))
        writer.close()

    listening = await asyncio.start_server(client, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    told = plan(f"http://{host}:{port}", requests=8, bodies=["{}", "[]"], sticky="X-Key", keys=3)
    records = await drive(told)
    listening.close()
    assert [record.key for record in records] == [0, 1, 2, 0, 1, 2, 0, 1]
    sent = [(head.partition(b"X-Key: user-")[2][:1], head[-2:]) for head in heads]
    assert len(set(sent)) == 6


def test_the_binomial_interval() -> None:
    # By hand: P(0 of 10 at 1/2) = 1/1024, P(at most 1) = 11/1024, P(at most 2) = 56/1024.
    assert binomial_interval(10, 0.5, 0.9) == (2, 8)
    assert binomial_interval(10, 0.5, 0.97) == (2, 8)
    assert binomial_interval(10, 0.5, 0.99) == (1, 9)
    low, high = binomial_interval(20_000, 0.1, 0.999)
    assert 1855 < low < 1865
    assert 2135 < high < 2145
