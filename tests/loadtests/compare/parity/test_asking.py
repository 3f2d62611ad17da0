"""Asking through a gateway: batches, rows that are refused, and backends that do not answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from loadtests.compare.errors import CompareError
from loadtests.compare.parity.answers import Refusal
from loadtests.compare.parity.asking import GatewayAsk
from loadtests.compare.results import Subject
from tests.conftest import REPOSITORY, TALK, MakeClient

SUBJECT = Subject(name="memory/pytorch", backend="memory", lineage="pytorch")


class Door:
    """Doubles ``x``; answers ``problem`` to requests with a row ``wrong`` picks, or in turn."""

    def __init__(self) -> None:
        self.requests: list[int] = []
        self.queries: list[dict[str, str]] = []
        self.wrong: Callable[[float], bool] = lambda x: False
        self.status = 422
        self.in_turn: list[int] = []
        self.answer: Any = None

    async def predict(self, request: web.Request) -> web.Response:
        rows = [row["x"] for row in (await request.json())["instances"]]
        self.requests.append(len(rows))
        self.queries.append(dict(request.query))
        status = self.in_turn.pop(0) if self.in_turn else 200
        if any(map(self.wrong, rows)):
            status = self.status
        if status != 200:
            return web.json_response({"detail": f"no: {status}"}, status=status)
        answer = self.answer or {"predictions": [{"y": 2 * x} for x in rows]}
        return web.json_response(answer)


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
async def ask(door: Door) -> AsyncIterator[GatewayAsk]:
    app = web.Application()
    app.router.add_post("/v1/predict", door.predict)
    async with TestServer(app) as server, ClientSession() as session:
        yield GatewayAsk(
            session, str(server.make_url("/")), SUBJECT, model="m", pauses=(0.01, 0.01, 0.01)
        )


def rows(count: int) -> list[dict[str, Any]]:
    return [{"x": float(x)} for x in range(count)]


async def test_rows_go_in_batches(ask: GatewayAsk, door: Door) -> None:
    answers = await ask(rows(130))
    assert answers == [{"y": 2.0 * x} for x in range(130)]
    assert door.requests == [64, 64, 2]
    assert door.queries[0] == {"backend": "memory", "lineage": "pytorch", "model": "m"}
    assert await ask([]) == []


async def test_a_refused_row_is_found(ask: GatewayAsk, door: Door) -> None:
    door.wrong = lambda x: x == 66
    answers = await ask(rows(70))
    assert answers[66] == Refusal("no: 422", 422)
    assert [answer for answer in answers if isinstance(answer, Refusal)] == [answers[66]]
    assert door.requests == [64, 6, 1, 1, 1, 1, 1, 1]


async def test_a_row_that_makes_the_backend_fail_is_found(ask: GatewayAsk, door: Door) -> None:
    door.wrong, door.status = lambda x: x == 1, 502
    answers = await ask(rows(3))
    assert answers == [{"y": 0.0}, Refusal("no: 502", 502), {"y": 4.0}]
    assert door.requests == [3, 3, 1, 1, 1, 1]


async def test_what_passes_is_tried_again(ask: GatewayAsk, door: Door) -> None:
    door.in_turn = [503, 504, 429]
    assert await ask(rows(1)) == [{"y": 0.0}]
    assert len(door.requests) == 4


@pytest.mark.parametrize("status", [500, 503, 504, 429])
async def test_what_does_not_pass_is_said(ask: GatewayAsk, door: Door, status: int) -> None:
    door.in_turn = [status] * 9
    with pytest.raises(CompareError, match=f"memory/pytorch did not answer: no: {status}"):
        await ask(rows(1))
    assert len(door.requests) == 4


@pytest.mark.parametrize("status", [401, 404])
async def test_what_no_further_try_helps_is_said_at_once(
    ask: GatewayAsk, door: Door, status: int
) -> None:
    door.in_turn = [status]
    with pytest.raises(CompareError, match="memory/pytorch did not answer"):
        await ask(rows(1))
    assert len(door.requests) == 1


async def test_a_backend_that_only_fails_is_no_refusal(ask: GatewayAsk, door: Door) -> None:
    door.wrong, door.status = lambda x: True, 502
    with pytest.raises(CompareError, match="memory/pytorch answers nothing: no: 502"):
        await ask(rows(3))


@pytest.mark.parametrize(
    "answer", [{"predictions": [{"y": 1}, {"y": 2}]}, {"predictions": [1]}, {"other": 1}, [1]]
)
async def test_an_answer_that_cannot_be_read(ask: GatewayAsk, door: Door, answer: Any) -> None:
    door.answer = answer
    with pytest.raises(CompareError, match="memory/pytorch"):
        await ask(rows(1))


async def test_nobody_listens(free_port: int) -> None:
    async with ClientSession() as session:
        ask = GatewayAsk(session, f"http://127.0.0.1:{free_port}", SUBJECT, pauses=(0.01,))
        with pytest.raises(CompareError, match="memory/pytorch did not answer: "):
            await ask(rows(1))


async def test_a_real_gateway(make_client: MakeClient) -> None:
    client = await make_client(REPOSITORY)
    subject = Subject(name="onnx/pytorch", backend="onnx", lineage="pytorch")
    ask = GatewayAsk(client, "", subject)  # the client knows the address
    answers = await ask([TALK, TALK | {"gender": "x"}, TALK])
    assert isinstance(answers[1], Refusal)
    assert "gender: is not a known category" in answers[1].words
    assert answers[0] == answers[2] == {"weight_change": pytest.approx(-16.7016, abs=1e-3)}
