"""The adapter of the guide: short, found by its entry point, and true to the contract."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tomllib
from contextlib import AbstractAsyncContextManager
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from gateway.backends import ADAPTERS
from gateway.backends.installed import GROUP, InstalledAdapter
from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.models.repository import Repository
from loadtests.compare.direct import record
from loadtests.compare.results import Subject
from tests.conftest import MIXED, ROOT, write_model
from tests.docs.pages import blocks
from tests.gateway.backends.contract import Function, add_up, honest, payloads

GUIDE = ROOT / "docs" / "adding-a-backend.md"
ADAPTER, CONTRACT = blocks(GUIDE, "python")
(PROJECT,) = blocks(GUIDE, "toml")
ENTRY = tomllib.loads(PROJECT)["project"]["entry-points"][GROUP]


def load(name: str, code: str) -> ModuleType:
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(code, f"{GUIDE.name}:{name}", "exec"), module.__dict__)
    return module


MODULE = load("gateway_mlflow", ADAPTER)
TestMLflow: Any = load("test_gateway_mlflow", CONTRACT).TestMLflow


def serve(function: Function) -> AbstractAsyncContextManager[str]:
    server: AbstractAsyncContextManager[str] = TestMLflow().serve(function)
    return server


def test_the_adapter_is_short() -> None:
    assert len(ADAPTER.splitlines()) < 60


def test_the_package_names_the_adapter() -> None:
    ((name, value),) = ENTRY.items()
    assert EntryPoint(name, value, GROUP).load() is MODULE.MLflowBackend


@pytest.mark.parametrize(
    ("name", "value", "urls", "words"),
    [
        ("mlflow", "gateway_mlflow:MLflowBackend", "", "backend_urls"),
        ("mlflow", "gateway_mlflow:MLflowBackend", "mlflow=nowhere", "is not a URL"),
        ("other", "gateway_mlflow:MLflowBackend", "mlflow=http://h", "calls itself 'mlflow'"),
        ("mlflow", "no_such_module:Backend", "", "cannot be imported: No module"),
        ("mlflow", "gateway_mlflow:Backend", "", "cannot be imported"),
    ],
)
def test_what_cannot_be_used_is_one_line(name: str, value: str, urls: str, words: str) -> None:
    adapter = InstalledAdapter(EntryPoint(name, value, GROUP))
    with pytest.raises(ConfigError, match=words) as caught:
        adapter.from_settings(Settings(backend_urls=urls))
    assert "\n" not in caught.value.detail


async def test_an_installed_package_answers(tmp_path: Path) -> None:
    """The command line finds it, as pip would have laid it down."""
    packages, repository = tmp_path / "packages", tmp_path / "models"
    facts = packages / "gateway_mlflow-1.0.dist-info"
    facts.mkdir(parents=True)
    (packages / "gateway_mlflow.py").write_text(ADAPTER)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: gateway-mlflow\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in ENTRY.items()]
    (facts / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    (manifest,) = blocks(GUIDE, "yaml")
    described = yaml.safe_load(manifest.replace("pytorch.onnx", "mixed.onnx"))
    write_model(repository / "mixed", MIXED | described)
    (row,) = payloads(1)
    async with serve(honest) as url:
        told = await _gateway(
            ["predict", "--backend", "mlflow", "--repository", str(repository), "-d", "-"],
            json.dumps(row),
            {"PYTHONPATH": f"{ROOT}:{packages}", "GATEWAY_BACKEND_URLS": f"mlflow={url}"},
        )
    assert told["backend"] == "mlflow"
    assert told["predictions"] == [add_up(row)]


async def test_the_comparison_asks_its_server_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((name, value),) = ENTRY.items()
    monkeypatch.setitem(ADAPTERS, name, InstalledAdapter(EntryPoint(name, value, GROUP)))
    write_model(
        tmp_path / "mixed", MIXED | {"backends": {name: {"lineages": {"pytorch": {"path": "/m"}}}}}
    )
    version = Repository.scan(tmp_path).get("mixed")
    asked = Subject(
        name=f"{name}/pytorch direct", backend=name, lineage="pytorch", server="http://host:5000"
    )
    (request,) = await record(asked, version, [payloads(2)])
    assert request.startswith(b"POST /m/invocations HTTP/1.1\r\nHost: host:5000\r\n")
    assert json.loads(request.partition(b"\r\n\r\n")[2]) == {"dataframe_records": payloads(2)}


async def _gateway(arguments: list[str], sent: str, environ: dict[str, str]) -> Any:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        *arguments,
        env=os.environ | environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    shown, errors = await process.communicate(sent.encode())
    assert process.returncode == 0, errors.decode()
    return json.loads(shown)
