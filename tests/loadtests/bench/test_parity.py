from __future__ import annotations

import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from loadtests.bench.endpoint import Endpoint, answer_object, instances
from loadtests.bench.errors import BenchError
from loadtests.bench.expected import Oracle
from loadtests.bench.opponents.floor import Floor
from loadtests.bench.opponents.opponent import Place
from loadtests.bench.parity import require_parity
from loadtests.bench.payload import Row
from loadtests.bench.workload import Workload, split
from serving.layout import PYTORCH, TENSORFLOW

TOLERANCE = 1e-4


class Predictor:
    """Answers as ``session.run`` does, or however ``spoil`` changes that."""

    def __init__(self, place: Place) -> None:
        self.oracle = Oracle(place, TOLERANCE)
        self.answers: dict[str, float] = {}
        self.status = 200

    async def answer(self, request: web.Request) -> web.Response:
        row = await request.json()
        value = self.answers.get(json.dumps(row), 0.0)
        return web.json_response({"weight_change": value}, status=self.status)


async def _check(predictor: Predictor, place: Place, rows: list[Row]) -> None:
    app = web.Application()
    app.router.add_post("/predict", predictor.answer)
    async with TestServer(app) as server:
        host = Floor(place)
        host.port = server.port or 0
        endpoint = Endpoint("test", host, "/predict", instances, answer_object)
        workload = Workload(8, split(rows, 1))
        expected = predictor.oracle.predict(PYTORCH, rows)
        await require_parity(endpoint, workload, expected, TOLERANCE)


@pytest.fixture
def predictor(place: Place, rows: list[Row]) -> Predictor:
    made = Predictor(place)
    values = made.oracle.predict(PYTORCH, rows)
    made.answers = {json.dumps(row): value for row, value in zip(rows, values, strict=True)}
    return made


async def test_right_answers(predictor: Predictor, place: Place, rows: list[Row]) -> None:
    await _check(predictor, place, rows)


async def test_answers_within_the_tolerance(
    predictor: Predictor, place: Place, rows: list[Row]
) -> None:
    predictor.answers = {row: value + TOLERANCE / 2 for row, value in predictor.answers.items()}
    await _check(predictor, place, rows)


async def test_rows_given_back_to_the_wrong_requests(
    predictor: Predictor, place: Place, rows: list[Row]
) -> None:
    values = list(predictor.answers.values())
    swapped = [values[1], values[0], *values[2:]]
    predictor.answers = dict(zip(predictor.answers, swapped, strict=True))
    with pytest.raises(BenchError, match="wrong answer to row 0"):
        await _check(predictor, place, rows)


async def test_another_model(predictor: Predictor, place: Place, rows: list[Row]) -> None:
    other = predictor.oracle.predict(TENSORFLOW, rows)
    predictor.answers = dict(zip(predictor.answers, other, strict=True))
    with pytest.raises(BenchError, match="wrong answer"):
        await _check(predictor, place, rows)


async def test_no_answer(predictor: Predictor, place: Place, rows: list[Row]) -> None:
    predictor.status = 503
    with pytest.raises(BenchError, match="it answered 503"):
        await _check(predictor, place, rows)


async def test_not_a_number_is_wrong(predictor: Predictor, place: Place, rows: list[Row]) -> None:
    predictor.answers[json.dumps(rows[3])] = float("nan")
    with pytest.raises(BenchError, match="row 3"):
        await _check(predictor, place, rows)
