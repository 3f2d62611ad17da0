"""Fixtures shared by all tests: small graphs, the example's repository, clients, real servers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import onnx
import pytest
import yaml
from aiohttp import ClientSession, web
from onnx import TensorProto, helper

from gateway.app import create_app, start
from gateway.backends.base import Backend
from gateway.config import Settings
from serving.launch import ports

# An example may take its time on a slow machine; all else stays as Hypothesis has it there.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = ROOT / "serving" / "repository"
CSV = Path(
    os.environ.get(
        "WEIGHT_CHANGE_CSV", ROOT.parent / "shared" / "data" / "weight_change_dataset.csv"
    )
)

#: The payload of the original talk; two of its values lie outside the training range.
TALK = {
    "age": 22,
    "gender": "F",
    "current_weight": 155,
    "bmr": 1300.0,
    "daily_calories_consumed": 1600.0,
    "daily_caloric_surplus_deficit": 90.0,
    "duration": 75.0,
    "stress_level": 90,
    "physical_activity_level": "Very Active",
    "sleep_quality": "Excellent",
}

Client = ClientSession
MakeClient = Callable[..., Awaitable[Client]]


def linear_graph(path: Path, weights: list[float], batch: int | str = "batch") -> Path:
    """Write a graph ``y = x @ weights`` over a tensor ``x`` of shape (batch, len(weights))."""
    size = len(weights)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 1])],
        [helper.make_tensor("w", TensorProto.FLOAT, [size, 1], weights)],
    )
    return save(graph, path)


def mixed_graph(path: Path) -> Path:
    """Write a graph with an integer, a number, a boolean and a string input.

    ``total`` is ``count`` + ``size`` (+ 100 if ``big``); ``named`` is the string again.
    """
    inputs = [
        helper.make_tensor_value_info("count", TensorProto.INT64, ["n", 1]),
        helper.make_tensor_value_info("size", TensorProto.FLOAT, ["n", 1]),
        helper.make_tensor_value_info("big", TensorProto.BOOL, ["n", 1]),
        helper.make_tensor_value_info("name", TensorProto.STRING, ["n", 1]),
    ]
    nodes = [
        helper.make_node("Cast", ["count"], ["count_f"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["count_f", "size"], ["sum"]),
        helper.make_node("Cast", ["big"], ["big_f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["big_f", "hundred"], ["extra"]),
        helper.make_node("Add", ["sum", "extra"], ["total"]),
        helper.make_node("Identity", ["name"], ["named"]),
    ]
    outputs = [
        helper.make_tensor_value_info("total", TensorProto.FLOAT, ["n", 1]),
        helper.make_tensor_value_info("named", TensorProto.STRING, ["n", 1]),
    ]
    hundred = helper.make_tensor("hundred", TensorProto.FLOAT, [1], [100.0])
    return save(helper.make_graph(nodes, "mixed", inputs, outputs, [hundred]), path)


def save(graph: onnx.GraphProto, path: Path) -> Path:
    """Check a graph and write it as a model ONNX Runtime loads."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


#: A manifest over the mixed graph, as YAML would give it.
MIXED: dict[str, Any] = {
    "name": "mixed",
    "description": "Adds up.",
    "features": [
        {"name": "count", "type": "integer", "range": [0, 10], "unit": "pieces", "example": 2},
        {"name": "size", "type": "number", "range": [-1.5, 1.5], "example": 0.5},
        {"name": "big", "type": "boolean", "example": False},
        {"name": "name", "type": "string", "categories": ["a", "b"], "example": "a"},
    ],
    "outputs": [{"name": "total", "unit": "pieces"}, {"name": "named"}],
    "backends": {"onnx": {"lineages": {"pytorch": {"artifact": "mixed.onnx"}}}},
}


def write_model(folder: Path, manifest: dict[str, Any] = MIXED, version: str = "1") -> Path:
    """Write a model folder over the mixed graph; returns its version's folder."""
    artifacts = folder / version
    artifacts.mkdir(parents=True)
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    mixed_graph(artifacts / "mixed.onnx")
    return artifacts


#: By marker, which is also the program's name: why a test needs it.
_PROGRAMS = {
    "java": "TorchServe needs Java, and there is none on the PATH",
    "chromium": "a page is looked at with Chromium, and there is none on the PATH",
    "haproxy": "the stack's front is HAProxy, and there is none on the PATH",
    "promtool": "Prometheus' files are checked with promtool, and there is none on the PATH",
}


#: Each fails unless the engine, or Compose, is there.
_DOCKER = (["docker", "version"], ["docker", "compose", "version"])


#: These files and folders come first, in this order, and then all others: what takes minutes, so
#: that nobody waits for it in the end; and containers once there was time to build their images.
_ORDER = ("test_quickstart.py", "chaos", "gateway", "handlers", "integration", "compose")
#: Where tests may need the machine to themselves: `make test` looks for them nowhere else.
_ALONE = ("chaos", "gateway", "loadtests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in order, and see to it that `make test` finds them all."""
    items.sort(key=lambda item: [*_ORDER, _top(item)].index(_top(item)))
    for item in items:
        if item.get_closest_marker("alone") and _top(item) not in _ALONE:
            raise pytest.UsageError(f"{item.nodeid} is marked alone, and not in one of {_ALONE}")


def _top(item: pytest.Item) -> str:
    """The file or folder of ``tests`` it is in."""
    return item.nodeid.partition("::")[0].split("/")[1]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``pytest -n``, one process runs all tests of a group; xdist has no such choice."""
    from xdist.scheduler import LoadScopeScheduling

    grouping = type("Grouping", (LoadScopeScheduling,), {"_split_scope": staticmethod(_group)})
    return grouping(config, log)


def _group(nodeid: str) -> str:
    """The folder whose tests share servers that are slow to start, else the file."""
    file = nodeid.partition("::")[0]
    shared = ("tests/compose/", "tests/serving/standin/")
    return next((folder for folder in shared if file.startswith(folder)), file)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a program where there is none; on CI that is a failure."""
    missing = [
        message
        for program, message in _PROGRAMS.items()
        if item.get_closest_marker(program) and shutil.which(program) is None
    ]
    if item.get_closest_marker("docker") and not _docker_answers():
        missing.append("containers need a Docker engine with Compose, and none answers")
    if missing and os.environ.get("CI"):
        pytest.fail(missing[0])
    if missing:
        pytest.skip(missing[0])


@cache
def _docker_answers() -> bool:
    """Whether there are a Docker engine and its Compose plugin."""
    return shutil.which("docker") is not None and all(
        subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0
        for command in _DOCKER
    )


@pytest.fixture
def mixed_repository(tmp_path: Path) -> Path:
    """A repository that holds the mixed model, version 1."""
    write_model(tmp_path / "repository" / "mixed")
    return tmp_path / "repository"


@pytest.fixture
async def make_client() -> AsyncIterator[MakeClient]:
    """Makes clients of gateways running in this process; closes them at the end."""
    running: list[tuple[Client, web.AppRunner]] = []

    async def make(
        repository: Path, backends: dict[str, Backend] | None = None, **settings: Any
    ) -> Client:
        app = create_app(Settings(repository=str(repository), **settings), backends)
        runner = await start(app, "127.0.0.1", 0)
        host, port = runner.addresses[0][:2]
        client = Client(f"http://{host}:{port}")
        running.append((client, runner))
        return client

    yield make
    for client, runner in running:
        await client.close()
        await runner.cleanup()


@pytest.fixture
def free_port() -> int:
    """A port on which nothing listens."""
    return ports.free_port()


@pytest.fixture
def original_csv() -> Path:
    """The original 100 rows, which are not part of the project."""
    if not CSV.is_file():
        pytest.skip("the original data set is not on this machine; WEIGHT_CHANGE_CSV names it")
    return CSV
