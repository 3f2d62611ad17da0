"""Whole headless runs: against a real gateway, and against one that fails."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil
import pytest
from aiohttp import web

from loadtests.compare import locust_runs as module
from loadtests.compare import report
from loadtests.compare.__main__ import Files, _read
from loadtests.compare.errors import CompareError
from loadtests.compare.locust_runs import ask_offer, locust_runs
from loadtests.compare.results import Figure, LocustRun, Machine, Results
from tests.conftest import REPOSITORY, ROOT
from tests.loadtests.users.fake_gateway import Handler, fake_gateway, predictions
from tests.processes import Gateway


async def answers(request: web.Request) -> web.Response:
    """A good answer to all, bad bodies included."""
    rows = (await request.read()).count(b'"size"')
    return web.json_response(predictions(max(rows, 1)))


async def fails(request: web.Request) -> web.Response:
    return web.Response(status=500, text="broken")


async def run(
    repository: Path, predict: Handler, said: list[str] | None = None, stand_in: str | None = None
) -> LocustRun:
    """A run of a second of four users of one lineage."""
    lines = [] if said is None else said
    async with fake_gateway(repository, predict, stand_in) as url:
        [found] = await locust_runs(url, None, ["onnx/pytorch"], 4, 1, "steady", lines.append)
    return found


async def cli(*arguments: str) -> tuple[int | None, str]:
    """The exit status of ``python -m loadtests.compare``, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtests.compare", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        cwd=ROOT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_a_run_against_the_real_gateway_has_all_figures() -> None:
    said: list[str] = []
    with Gateway(REPOSITORY) as gateway:
        [found] = await locust_runs(
            gateway.url, "weight-change", ["onnx"], 4, 2, "steady", said.append
        )
    assert said == ["Locust: 4 users of onnx for 2 s"]
    figures = [found.requests_per_s, found.p50, found.p95, found.p99]
    assert [figure.id for figure in figures] == [
        f"locust.onnx.{measure}" for measure in ("requests-per-s", "p50", "p95", "p99")
    ]
    rate, *percentiles = (figure.value for figure in figures)
    assert found.failures == 0
    assert found.requests > 20
    assert 1.9 < found.seconds < 20
    assert rate == pytest.approx(found.requests / found.seconds, rel=0.1)
    latencies = [value for value in percentiles if value is not None]
    assert len(latencies) == 3
    assert 0 < latencies[0] <= latencies[1] <= latencies[2]
    assert (found.backend, found.users, found.stand_in) == ("onnx", 4, None)
    # A point per second; the last may be cut off by the end.
    assert 1 <= len(found.history) <= found.seconds + 1
    assert all(tick.users == 4 and tick.failures_per_s == 0 for tick in found.history)
    assert found.history[0].requests_per_s > 0
    assert sum(tick.requests_per_s for tick in found.history) <= found.requests * 1.05


async def test_failures_are_counted_and_each_is_said(mixed_repository: Path) -> None:
    said: list[str] = []
    found = await run(mixed_repository, fails, said)
    assert found.failures == found.requests > 0
    assert f"{found.requests:,} of {found.requests:,} requests failed" in found.p50.remark
    assert found.history[0].failures_per_s > 0
    assert any(line.endswith("× onnx/pytorch: 1 row: 500") for line in said)
    assert any("it must be refused with 4" in line for line in said)


async def test_a_stand_in_is_named_at_every_figure_and_the_key_is_sent(
    mixed_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_API_KEY", "secret")
    keys = set()

    async def looks(request: web.Request) -> web.Response:
        keys.add(request.headers.get("X-API-Key"))
        return await answers(request)

    found = await run(mixed_repository, looks, stand_in="a stand-in")
    marks = {f.stand_in for f in (found.requests_per_s, found.p50, found.p95, found.p99)}
    assert marks | {found.stand_in} == {"a stand-in"}
    assert keys == {"secret"}


async def test_a_server_that_never_answers_fails_every_user(
    mixed_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(request: web.Request) -> web.Response:
        await asyncio.sleep(3)
        return web.Response()

    monkeypatch.setattr(module, "_GIVE_UP_S", 1)
    said: list[str] = []
    found = await run(mixed_repository, hangs, said)
    assert found.failures == found.requests >= 4
    assert any("no answer: " in line for line in said)


@pytest.mark.parametrize(
    ("model", "backends", "words"),
    [
        (None, ["onnx", "nothing"], "mixed has no backend 'nothing'; onnx"),
        (None, ["onnx/other"], "no backend 'onnx/other'"),
        ("other", ["onnx"], "v1/models/other"),
    ],
)
async def test_what_is_not_there_is_said(
    mixed_repository: Path, model: str | None, backends: Sequence[str], words: str
) -> None:
    async with fake_gateway(mixed_repository, answers) as url:
        with pytest.raises(CompareError, match=words):
            await locust_runs(url, model, backends, 1, 1, "steady", print)


async def test_no_gateway_is_said(free_port: int) -> None:
    with pytest.raises(CompareError, match=rf"127\.0\.0\.1:{free_port}"):
        await locust_runs(f"http://127.0.0.1:{free_port}", None, [], 1, 1, "steady", print)


async def test_a_locust_that_does_not_run_is_said(mixed_repository: Path) -> None:
    async with fake_gateway(mixed_repository, answers) as url:
        with pytest.raises(CompareError, match=r"Locust ended with 2: .*--shape"):
            await locust_runs(url, None, ["onnx"], 1, 1, "square", lambda line: None)


async def test_a_missing_locust_is_said(
    mixed_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    async with fake_gateway(mixed_repository, answers) as url:
        with pytest.raises(CompareError, match="pip install"):
            await locust_runs(url, None, ["onnx"], 1, 1, "steady", print)


async def test_what_is_cancelled_leaves_no_process(mixed_repository: Path) -> None:
    def running() -> list[psutil.Process]:
        return psutil.Process().children(recursive=True)

    async with fake_gateway(mixed_repository, answers) as url:
        before = running()
        task = asyncio.create_task(locust_runs(url, None, ["onnx"], 1, 60, "steady", print))
        while not (set(running()) - set(before)):  # noqa: ASYNC110 a process sets no event
            await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not set(running()) - set(before)


async def test_backends_that_are_not_ready_are_told_apart(mixed_repository: Path) -> None:
    async with fake_gateway(mixed_repository, answers, ready=False) as url:
        offer = await ask_offer(url, None)
        assert (offer.ready, offer.down) == ([], {"onnx": "it sleeps"})
        status, said = await cli("--host", url)
    assert status == 1
    assert "onnx is not asked: it sleeps" in said
    assert "no backend of mixed is ready" in said


async def test_the_command_ends_with_1_after_failures(mixed_repository: Path) -> None:
    async with fake_gateway(mixed_repository, fails) as url:
        status, said = await cli("--host", url, "--seconds", "1", "--users", "2")
    assert status == 1
    assert "× onnx/pytorch: 1 row: 500" in said


def results(model: str) -> Results:
    machine = Machine(processor="p", cores=2, memory_gb=4.0, system="s", python="3")
    return Results(
        started="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        model=model,
        version="1",
        command="gateway compare",
        machine=machine,
        subjects=[],
        notes=["kept"],
    )


async def test_the_runs_join_the_report_in_place_of_earlier_ones(tmp_path: Path) -> None:
    path, html, text = tmp_path / "r.json", tmp_path / "r.html", tmp_path / "r.md"
    earlier = Figure(id="locust.earlier.p50", what="p50", value=1.0)
    before = LocustRun(
        backend="earlier",
        users=1,
        shape="steady",
        seconds=1.0,
        requests=1,
        failures=0,
        requests_per_s=earlier,
        p50=earlier,
        p95=earlier,
        p99=earlier,
    )
    report.write_json(msgspec.structs.replace(results("weight-change"), locust=[before]), path)
    arguments = ("--json", str(path), "--report", str(html), "--markdown", str(text))
    with Gateway(REPOSITORY) as gateway:
        load = ("--host", gateway.url, "--seconds", "1", "--users", "2")
        status, said = await cli(*load, "--backends", "onnx/tensorflow", *arguments)
        assert status == 0, said
        joined = report.read_json(path)
        assert [each.backend for each in joined.locust] == ["onnx/tensorflow"]
        assert joined.notes == ["kept"]
        assert 'id="locust.onnx-tensorflow.p50"' in html.read_text(encoding="utf-8")
        assert "onnx/tensorflow" in text.read_text(encoding="utf-8")
        report.write_json(results("another"), path)
        status, said = await cli(*load, "--backends", "onnx", *arguments)
    assert status == 1
    assert "is about another, not weight-change" in said
    assert json.loads(path.read_bytes())["locust"] == []


def test_what_a_report_needs_is_said_before_the_run(tmp_path: Path) -> None:
    missing = tmp_path / "r.json"
    with pytest.raises(CompareError, match=r"gateway compare --json"):
        _read(Files(missing, None, None))
    with pytest.raises(CompareError, match=r"needs the rest of the report.*--json"):
        _read(Files(None, tmp_path / "r.html", None))
    assert _read(Files(None, None, None)) is None
