"""Versions: found, tried out, swapped and given up while requests go on."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from gateway.backends import Call, MemoryBackend, OnnxBackend
from gateway.config import Settings
from gateway.errors import BackendUnavailable, NotFound
from gateway.models.rows import Outputs, Rows
from gateway.routing.router import Router, open_router
from tests.conftest import Client, MakeClient, linear_graph

MANIFEST: dict[str, Any] = {
    "name": "scale",
    "features": [{"name": "x", "type": "tensor", "shape": [1], "example": [1.0]}],
    "outputs": [{"name": "y"}],
    "backends": {
        "onnx": {"lineages": {"only": {"artifact": "graph.onnx"}}},
        "server": {"lineages": {"only": {}}},
    },
}


def add_version(repository: Path, number: int, weight: float | None = None) -> None:
    """A version whose answer to 1 is its number; it appears complete, by a renaming."""
    hidden = repository / f".{number}"
    hidden.mkdir()
    linear_graph(hidden / "graph.onnx", [number if weight is None else weight])
    hidden.rename(repository / "scale" / str(number))


def ones(rows: Rows) -> Outputs:
    return {"y": np.ones(rows.count)}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "scale").mkdir()
    (tmp_path / "scale" / "model.yaml").write_text(yaml.safe_dump(MANIFEST))
    add_version(tmp_path, 1)
    return tmp_path


@pytest.fixture
async def routed(repository: Path) -> AsyncIterator[Router]:
    server = MemoryBackend(ones, "server")
    server.url = "http://somewhere"
    settings = Settings(repository=str(repository), health_timeout_s=0.2)
    backends = {"onnx": OnnxBackend(1), "server": server}
    async with open_router(settings, backends) as router:
        yield router


async def ask(router: Router, **query: str) -> tuple[str, float]:
    """The version that answers, and its answer to 1."""
    targets = router.select(**query).fixed
    rows = targets[0].model.validator.convert([{"x": [1.0]}])
    answer = await router.predict(targets, rows, Call.within(5))
    return answer.results.target.model.version, answer.objects[0]["y"]


async def test_a_new_version_answers_and_the_old_can_be_pinned(
    routed: Router, repository: Path
) -> None:
    changes: list[None] = []
    routed.on_change(lambda: changes.append(None))
    assert await ask(routed) == ("1", 1.0)
    add_version(repository, 2)
    await routed.versions.refresh()
    assert changes == [None]
    assert await ask(routed) == ("2", 2.0)
    assert await ask(routed, version="1") == ("1", 1.0)
    await routed.versions.refresh()
    assert changes == [None]


async def test_old_versions_are_freed(routed: Router, repository: Path) -> None:
    old = routed.select(backend="onnx").fixed
    for number in (2, 3):
        add_version(repository, number)
        await routed.versions.refresh()
    with pytest.raises(NotFound, match=r"there is: 2, 3"):
        await ask(routed, version="1")
    rows = old[0].model.validator.convert([{"x": [1.0]}])
    with pytest.raises(BackendUnavailable, match="no longer served"):
        await routed.predict(old, rows, Call.within(1))
    await asyncio.sleep(0.1)
    assert old[0] not in routed.health.states
    assert not (await routed.backends["onnx"].check(old[0], Call.within(1))).ready
    shutil.rmtree(repository / "scale" / "3")
    await routed.versions.refresh()
    assert await ask(routed) == ("2", 2.0)
    assert await ask(routed, version="1") == ("1", 1.0)  # one of the two newest again


@pytest.mark.parametrize("fault", ["truncated", "missing", "not finite", "other inputs"])
async def test_a_broken_version_is_refused(routed: Router, repository: Path, fault: str) -> None:
    add_version(repository, 2, float("nan") if fault == "not finite" else None)
    graph = repository / "scale" / "2" / "graph.onnx"
    if fault == "truncated":
        graph.write_bytes(graph.read_bytes()[:40])
    elif fault == "missing":
        graph.unlink()
    elif fault == "other inputs":
        linear_graph(graph, [1.0, 2.0])
    await routed.versions.refresh()
    assert await ask(routed) == ("1", 1.0)
    assert str(repository) not in routed.repository.refused["scale/2"]
    assert await routed.unready() == []
    with pytest.raises(NotFound):
        await ask(routed, version="2")
    linear_graph(graph, [2.0])
    await routed.versions.refresh()
    assert routed.repository.refused == {}
    assert await ask(routed) == ("2", 2.0)


async def test_a_server_answers_with_the_version_it_has(routed: Router, repository: Path) -> None:
    server = routed.backends["server"]
    assert isinstance(server, MemoryBackend)
    server.fail = BackendUnavailable("server", "it does not know version 2")
    add_version(repository, 2)
    await routed.versions.refresh()
    assert routed.select(backend="server").fixed[0].model.version == "1"
    assert routed.select(backend="onnx").fixed[0].model.version == "2"
    server.fail = None
    await routed.versions.refresh()
    assert routed.select(backend="server").fixed[0].model.version == "2"


async def test_a_version_that_goes_is_not_asked_while_others_are_probed(
    routed: Router, repository: Path
) -> None:
    server = routed.backends["server"]
    assert isinstance(server, MemoryBackend)
    server.fail = BackendUnavailable("server", "it has version 1 only")
    for number in (2, 3):
        add_version(repository, number)
        await routed.versions.refresh()
    known = [routed.select(backend="onnx")]
    routed.on_change(known.clear)
    server.fail, server.delay = None, 0.15
    shutil.rmtree(repository / "scale" / "3")
    refreshing = asyncio.create_task(routed.versions.refresh())
    while known:
        await asyncio.wait([refreshing], timeout=0.002)
        assert known == [] or known[0].fixed[0] in routed.versions.lanes
    assert not refreshing.done()
    assert await ask(routed, backend="onnx") == ("2", 2.0)
    await refreshing


async def test_requests_in_flight_end_on_the_version_they_began_with(
    routed: Router, repository: Path
) -> None:
    server = routed.backends["server"]
    assert isinstance(server, MemoryBackend)
    server.delay = 0.15
    slow = asyncio.create_task(ask(routed, backend="server"))
    await asyncio.sleep(0.05)
    server.delay = 0
    for number in (2, 3, 4):
        add_version(repository, number)
        await routed.versions.refresh()
        await routed.versions.refresh()
    assert await slow == ("1", 1.0)
    assert routed.select(backend="server").fixed[0].model.version == "4"


async def test_a_folder_that_becomes_unreadable_changes_nothing(
    routed: Router, repository: Path
) -> None:
    (repository / "scale" / "model.yaml").write_text("features: [")
    await routed.versions.refresh()
    assert await ask(routed) == ("1", 1.0)
    assert "scale" in routed.repository.refused
    shutil.rmtree(repository / "scale")
    await routed.versions.refresh()
    assert await ask(routed) == ("1", 1.0)


async def test_it_follows_by_itself(routed: Router, repository: Path) -> None:
    following = asyncio.create_task(routed.versions.follow(0.02))
    add_version(repository, 2)
    for _ in range(100):
        if await ask(routed) == ("2", 2.0):
            break
        await asyncio.sleep(0.02)
    else:
        pytest.fail("version 2 was not found")
    following.cancel()


async def outcome(client: Client) -> tuple[int, Any]:
    """What the model ``plain`` makes of ones."""
    features = (await (await client.get("/v1/models/plain")).json())["features"]
    row = {"x": 1 if not features[0].get("shape") else [1] * features[0]["shape"][0]}
    async with client.post("/v1/predict?model=plain", json=row) as response:
        content = await response.json()
    return response.status, content["predictions"][0]["y"] if response.status == 200 else content


async def until(client: Client, expected: float) -> None:
    for _ in range(200):
        if await outcome(client) == (200, expected):
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"it is not {expected}: {await outcome(client)}")


@pytest.mark.parametrize("alone", [False, True])
async def test_a_plain_file_that_is_overwritten_is_served_as_it_is_now(
    make_client: MakeClient, tmp_path: Path, alone: bool
) -> None:
    path = linear_graph(tmp_path / "plain.onnx", [2.0])
    client = await make_client(path if alone else tmp_path, reload_interval_s=0.02)
    assert await outcome(client) == (200, 2.0)
    linear_graph(path, [3.0])
    await until(client, 3.0)
    linear_graph(path, [4.0, 5.0])  # another shape: it is described anew
    await until(client, 9.0)
    assert (await (await client.get("/v1/models/plain")).json())["versions"] == ["1"]

    path.write_bytes(b"half a graph")
    failures: dict[str, str] = {}
    for _ in range(200):
        failures = (await (await client.get("/v1/models")).json())["failures"]
        if failures:
            break
        await asyncio.sleep(0.02)
    assert list(failures) == ["plain.onnx"]
    assert str(tmp_path) not in failures["plain.onnx"]
    assert await outcome(client) == (200, 9.0)  # what was there goes on
    assert (await client.get("/readyz")).status == 200
    linear_graph(path, [6.0])
    await until(client, 6.0)
    assert (await (await client.get("/v1/models")).json())["failures"] == {}
    text = await (await client.get("/metrics")).text()
    ready = 'gateway_backend_ready{backend="onnx",lineage="original",model="plain",version="1"} 1.0'
    assert ready in text


async def test_a_plain_file_that_was_broken_at_the_start_is_taken_up(
    make_client: MakeClient, tmp_path: Path
) -> None:
    linear_graph(tmp_path / "first.onnx", [1.0])
    (tmp_path / "plain.onnx").write_bytes(b"no graph")
    client = await make_client(tmp_path, reload_interval_s=0.02)
    assert (await client.get("/readyz")).status == 503
    linear_graph(tmp_path / "plain.onnx", [2.0])
    for _ in range(200):
        if (await client.get("/v1/models/plain")).status == 200:
            break
        await asyncio.sleep(0.02)
    assert await outcome(client) == (200, 2.0)
    assert (await client.get("/readyz")).status == 200
