"""The driver against servers that answer, refuse, break off and say nothing."""

from __future__ import annotations

import asyncio
import socket

import pytest

from loadtests.compare.load.closed import ClosedLoop
from loadtests.compare.load.connection import Connection
from loadtests.compare.load.load import drive
from loadtests.compare.load.plan import Plan, arrivals
from tests.loadtests.compare.load.conftest import Call, answer, problem, serving


def good(call: Call) -> None:
    call.say(answer())


@pytest.mark.parametrize(("rate", "seconds"), [(None, 1.0), (300.0, 0.3)])
async def test_every_request_is_counted_once(rate: float | None, seconds: float) -> None:
    async with serving(good) as server:
        outcome = await drive(server.plan(connections=4, rate=rate, seconds=seconds, seed=3))
    assert server.connections == 4
    assert outcome.errors == {}
    assert outcome.sent == len(outcome.latencies_ms) == len(server.requests)
    # What was on its way at the end: one per connection, or whatever was meant to be sent just
    # before, or took long, as all does that a stall of the machine meets.
    if rate is None:
        assert outcome.sent > 50
        on_its_way = 4
    else:
        due = arrivals(rate, seconds, seed=3)
        assert outcome.sent == len(due)
        on_its_way = (due >= seconds - 0.01).sum() + (outcome.latencies_ms >= 10).sum()
    assert outcome.sent - on_its_way <= outcome.in_window <= outcome.sent
    assert (outcome.latencies_ms > 0).all()
    # In turn: as many of the one as of the other.
    bodies = [request[-2:] for request in server.requests]
    assert abs(bodies.count(b"{}") - bodies.count(b"[]")) <= 1


@pytest.mark.parametrize("rate", [None, 300.0])
async def test_requests_of_the_warm_up_are_sent_but_not_counted(rate: float | None) -> None:
    begun: list[float] = []

    def slow_at_first(call: Call) -> None:
        now = asyncio.get_running_loop().time()
        begun.append(now)
        call.say(answer(), after=0.05 if now < begun[0] + 0.3 else 0.0)

    async with serving(slow_at_first) as server:
        plan = server.plan(rate=rate, warmup_s=0.5, seconds=0.3, connections=20)
        outcome = await drive(plan)
    assert len(server.requests) > outcome.sent + 50
    assert sorted(outcome.latencies_ms)[len(outcome.latencies_ms) // 2] < 45
    assert outcome.seconds == 0.3


async def test_errors_are_named_and_not_timed() -> None:
    answers = [answer(), problem(503, "overloaded"), answer(500), answer(404, b"x" * 9)]

    def in_turn(call: Call) -> None:
        call.say(answers[call.requests % 4])

    async with serving(in_turn) as server:
        outcome = await drive(server.plan())
    assert set(outcome.errors) == {"503 overloaded", "500", "404"}
    counts = [*outcome.errors.values(), len(outcome.latencies_ms)]
    assert max(counts) - min(counts) <= 1
    assert outcome.sent == sum(counts) == len(server.requests)


@pytest.mark.parametrize("rate", [None, 100.0])
@pytest.mark.parametrize("says_so", [True, False])
async def test_servers_that_close_after_each_answer(rate: float | None, says_so: bool) -> None:
    def close(call: Call) -> None:
        call.say(answer(header="Connection: close\r\n") if says_so else b"HTTP/1.0 200 OK\r\n\r\nx")
        call.transport.close()

    async with serving(close) as server:
        outcome = await drive(server.plan(rate=rate, connections=3))
    assert outcome.errors == {}
    assert outcome.sent == len(outcome.latencies_ms) == len(server.requests) > 15
    assert server.connections >= len(server.requests)


@pytest.mark.parametrize("rate", [None, 100.0])
async def test_connections_closed_between_requests_are_opened_again(rate: float | None) -> None:
    def close_later(call: Call) -> None:
        if call.requests == 1:
            asyncio.get_running_loop().call_later(0.002, call.transport.close)
            call.say(answer(header="Connection: close\r\n"))
        else:
            call.say(answer())

    async with serving(close_later) as server:
        outcome = await drive(server.plan(rate=rate, connections=2))
    assert outcome.errors == {}
    assert len(outcome.latencies_ms) > 15


async def test_chunked_answers() -> None:
    def chunked(call: Call) -> None:
        call.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{} \r\n")
        call.say(b"0\r\n\r\n", after=0.01)

    async with serving(chunked) as server:
        outcome = await drive(server.plan(connections=2))
    assert outcome.errors == {}
    assert outcome.sent == len(server.requests) > 10
    assert outcome.latencies_ms.min() >= 9
    assert server.connections == 2


@pytest.mark.parametrize("rate", [None, 200.0])
async def test_lost_connections_are_errors_of_their_requests_alone(rate: float | None) -> None:
    def break_off(call: Call) -> None:
        if call.requests % 5:
            call.say(answer())
        else:
            call.say(answer()[:-1])
            call.transport.abort() if len(call.server.requests) % 2 else call.transport.close()

    async with serving(break_off) as server:
        outcome = await drive(server.plan(rate=rate))
    assert set(outcome.errors) == {"connection lost"}
    assert outcome.sent == len(server.requests)
    assert outcome.errors["connection lost"] == pytest.approx(outcome.sent / 5, abs=1)
    assert server.connections == pytest.approx(outcome.sent / 5, abs=1.5)


async def test_answers_that_make_no_sense() -> None:
    async with serving(lambda call: call.say(b"hello\r\n\r\n")) as server:
        outcome = await drive(server.plan(seconds=0.2))
    assert set(outcome.errors) == {"unreadable answer"}
    assert len(outcome.latencies_ms) == 0


@pytest.mark.parametrize("rate", [None, 200.0])
async def test_nobody_listens(rate: float | None) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        outcome = await drive(
            Plan(
                requests=[b"x"], host="127.0.0.1", port=port, connections=2, rate=rate, seconds=0.3
            )
        )
    assert set(outcome.errors) == {"cannot connect"}
    assert outcome.sent == outcome.errors["cannot connect"] >= 5
    assert outcome.in_window == 0


@pytest.mark.alone
async def test_a_server_that_returns_is_found_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    waiting = asyncio.create_task(
        drive(
            Plan(
                requests=[b"POST /x HTTP/1.1\r\nContent-Length: 0\r\n\r\n"],
                host="127.0.0.1",
                port=port,
                connections=2,
                rate=100,
                seconds=4,
            )
        )
    )
    await asyncio.sleep(1)
    from_now_on = await asyncio.get_running_loop().create_server(Always, "127.0.0.1", port)
    async with from_now_on:
        outcome = await waiting
    assert set(outcome.errors) == {"cannot connect"}
    assert outcome.errors["cannot connect"] > 10
    assert len(outcome.latencies_ms) > 20


class Always(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        self.transport.write(answer())


@pytest.mark.parametrize("rate", [None, 100.0])
async def test_requests_without_an_answer_are_given_up(rate: float | None) -> None:
    def now_and_then(call: Call) -> None:
        if len(call.server.requests) % 10:
            call.say(answer())

    async with serving(now_and_then) as server:
        plan = server.plan(rate=rate, connections=8, seconds=0.5, give_up_s=1.2)
        begun = asyncio.get_running_loop().time()
        outcome = await drive(plan)
        took = asyncio.get_running_loop().time() - begun
    assert set(outcome.errors) == {"no answer in time"}
    assert outcome.errors["no answer in time"] == pytest.approx(outcome.sent / 10, abs=1)
    assert outcome.sent == len(server.requests)
    assert took < 30  # the last ones were not waited for for ever


async def test_requests_that_never_get_a_connection_are_given_up() -> None:
    async with serving(lambda call: None) as server:
        outcome = await drive(server.plan(rate=100, seconds=0.6, give_up_s=0.25))
    assert outcome.errors == {"no answer in time": outcome.sent}
    assert outcome.sent > 30
    assert len(server.requests) < outcome.sent, "some never got a connection"


async def test_a_mistake_in_the_driver_is_no_error_of_the_server() -> None:
    class Mistaken(ClosedLoop):
        def free(self, connection: Connection) -> None:
            if self.log.came:
                raise RuntimeError("planted")
            super().free(connection)

    async with serving(good) as server:
        with pytest.raises(RuntimeError, match="planted"):
            await Mistaken(server.plan()).run()
