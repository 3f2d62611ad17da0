from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from loadtests.bench.errors import BenchError
from loadtests.bench.wrk import parse, run_wrk

PRINTED = """Running 1s test @ http://127.0.0.1:1/predict
  1 threads and 1 connections

RESULT {"seconds": 2.003785, "requests": 5191, "errors": 2, "p50_ms": 0.2820, "p99_ms": 6.7930, \
"max_ms": 30.8950}
"""


def test_parse() -> None:
    one = parse(PRINTED, rows=8)
    assert (one.requests, one.errors, one.rows) == (5191, 2, 8)
    assert (one.seconds, one.p50_ms, one.p99_ms, one.max_ms) == (2.003785, 0.282, 6.793, 30.895)


def test_parse_what_is_no_result() -> None:
    with pytest.raises(BenchError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1 Connection refused\n", rows=1)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
async def test_bodies_are_sent_in_turn_and_errors_counted(tmp_path: Path) -> None:
    seen: dict[bytes, int] = {}
    types = set()

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        seen[body] = seen.get(body, 0) + 1
        types.add(request.content_type)
        return web.Response(status=400 if body == b'{"a":2}' else 200)

    app = web.Application()
    app.router.add_post("/predict", answer)
    bodies = tmp_path / "bodies.txt"
    bodies.write_bytes(b'{"a":1}\n{"a":2}\n')
    async with TestServer(app) as server:
        one = await run_wrk(str(server.make_url("/predict?x=y")), bodies, 1, 1, rows=1)
    assert set(seen) == {b'{"a":1}', b'{"a":2}'}
    assert types == {"application/json"}
    assert one.requests > 10
    assert one.errors == pytest.approx(one.requests / 2, abs=1)
    assert 0 < one.p50_ms <= one.p99_ms <= one.max_ms
