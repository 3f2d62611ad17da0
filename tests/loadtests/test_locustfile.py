"""The locustfile as Locust itself loads it: its classes, its web page, its headless run."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from aiohttp import web

from gateway.errors import InvalidRequest
from gateway.models.manifest import Manifest
from gateway.models.validator import Validator
from tests.conftest import ROOT
from tests.loadtests.users.fake_gateway import fake_gateway, predictions
from tests.processes import Gateway

LOCUST = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests" / "locustfile.py")]


def environ(repository: Path | None = None) -> dict[str, str]:
    found = {name: v for name, v in os.environ.items() if not name.startswith("LOCUST_")}
    found["PYTHONPATH"] = str(ROOT)
    if repository is not None:
        found["LOADTEST_REPOSITORY"] = str(repository)
    return found


def locust(*arguments: str, repository: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LOCUST, *arguments], capture_output=True, text=True, env=environ(repository), timeout=60
    )


def test_the_classes_are_made_from_the_manifest() -> None:
    ended = locust("--list")
    assert ended.stdout.split("Available Users:")[1].split() == [
        "OnnxPytorchUser",
        "OnnxTensorflowUser",
        "TorchserveUser",
        "TfservingUser",
    ]


def test_a_repository_without_a_model_is_said_in_a_line(tmp_path: Path) -> None:
    ended = locust("--list", repository=tmp_path)
    assert ended.returncode != 0
    assert "LOADTEST_REPOSITORY" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_wrong_answers_are_failures_and_say_what_is_wrong(
    mixed_repository: Path, tmp_path: Path
) -> None:
    async def wrong(request: web.Request) -> web.Response:
        rows = (await request.read()).count(b'"size"')
        backend, answered = ("onnx", rows - 1) if rows == 16 else ("torchserve", rows)
        return web.json_response(predictions(max(answered, 1), backend))

    ended, recording = await run_against(
        mixed_repository, wrong, tmp_path, "--tags", "batch", "errors"
    )
    assert ended == 1
    assert recording["requests"] == recording["failures"] > 0
    assert set(recording["errors"]) >= {
        "onnx/pytorch: 128 rows: answered by torchserve/pytorch, asked onnx/pytorch",
        "onnx/pytorch: 16 rows: 15 predictions for 16 rows",
    }
    taken = [words for words in recording["errors"] if "refused" in words]
    assert taken
    assert all("200, taken as good; it must be refused with 4" in words for words in taken)


async def test_bad_bodies_that_are_refused_are_none(mixed_repository: Path, tmp_path: Path) -> None:
    validator = Validator(Manifest.load(mixed_repository / "mixed"))
    refused = []

    async def refuses(request: web.Request) -> web.Response:
        try:
            validator.decode(await request.read())
        except InvalidRequest as error:
            refused.append(error.status)
            kind = "application/problem+json"
            return web.json_response(error.problem(), status=error.status, content_type=kind)
        return web.json_response(predictions(1))

    ended, recording = await run_against(mixed_repository, refuses, tmp_path, "--tags", "errors")
    assert (ended, recording["errors"]) == (0, {})
    assert set(refused) == {400, 422}
    assert len(refused) >= recording["requests"] > 10


async def run_against(
    repository: Path, predict: Any, folder: Path, *arguments: str
) -> tuple[int | None, dict[str, Any]]:
    """The exit status and the recording of a run of two seconds."""
    record = folder / "recording.json"
    async with fake_gateway(repository, predict) as url:
        process = await asyncio.create_subprocess_exec(
            *LOCUST,
            *("--headless", "--only-summary", "--host", url, "--run-time", "2s"),
            *("--users", "2", "--spawn-rate", "2", "--record", str(record), *arguments),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environ(repository),
        )
        status = await process.wait()
    return status, json.loads(record.read_bytes())


@contextmanager
def web_page(port: int, host: str, repository: Path) -> Iterator[str]:
    """Locust with its web page, until the block ends."""
    address = f"http://127.0.0.1:{port}"
    command = [*LOCUST, "--class-picker", "--web-host", "127.0.0.1", "--web-port", str(port)]
    process = subprocess.Popen(
        [*command, "--host", host],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environ(repository),
    )
    try:
        until = time.monotonic() + 60
        while True:
            try:
                requests.get(address, timeout=5)
                break
            except requests.ConnectionError:
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def test_the_web_page_lists_and_runs_classes_and_shapes(
    mixed_repository: Path, free_port: int
) -> None:
    with (
        Gateway(mixed_repository) as gateway,
        web_page(free_port, gateway.url, mixed_repository) as address,
    ):
        page = requests.get(address, timeout=10)
        assert page.status_code == 200
        for part in ("OnnxUser", "Ramp", "Spike", "Soak", "ramp_steps", "give_up_seconds"):
            assert part in page.text
        form = {"user_count": "2", "spawn_rate": "2", "host": gateway.url, "run_time": "30s"}
        form |= {"user_classes": "OnnxUser", "ramp_steps": "2"}
        # Two steps to two users: the ramp is at its first.
        for shape, users in (("Default", 2), ("Ramp", 1)):
            answer = requests.post(
                f"{address}/swarm", data=form | {"shape_class": shape}, timeout=10
            ).json()
            assert answer["success"], answer
            assert wait_for_requests(address, users)["errors"] == []
            assert requests.post(f"{address}/stop", timeout=30).json()["success"]
            requests.get(f"{address}/stats/reset", timeout=10)


def wait_for_requests(address: str, users: int) -> dict[str, Any]:
    """Locust's numbers, which it keeps for two seconds, once so many users have asked a while."""
    until = time.monotonic() + 60
    while True:
        stats: dict[str, Any] = requests.get(f"{address}/stats/requests", timeout=10).json()
        if stats["stats"][-1]["num_requests"] > 50 and stats["user_count"] == users:
            return stats
        assert time.monotonic() < until, stats
        time.sleep(0.1)
