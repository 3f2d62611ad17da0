"""What the migration guides promise: the handler's few lines, the commands, the second paths."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.backends import MemoryBackend
from gateway.cli import app
from tests.conftest import MIXED, ROOT, MakeClient, write_model
from tests.docs.pages import blocks
from tests.gateway.backends.contract import add_up, payloads

TORCHSERVE = ROOT / "docs" / "migrating-from-torchserve.md"
TENSORFLOW = ROOT / "docs" / "migrating-from-tensorflow-serving.md"


def test_a_handler_learns_to_take_rows() -> None:
    (code,) = blocks(TORCHSERVE, "python")
    names: dict[str, Any] = {}
    exec(code, names)

    def answer(self: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [add_up(row) for row in rows]

    handler = type("Own", (names["RowsHandler"],), {"answer": answer})()
    bodies = [payloads(2), payloads(3, offset=10)]
    answers = handler.handle([{"body": bodies[0]}, {"data": bodies[1]}], None)
    assert answers == [[add_up(row) for row in body] for body in bodies]


@pytest.mark.parametrize(
    ("page", "backend", "lineage"),
    [(TORCHSERVE, "torchserve", "pytorch"), (TENSORFLOW, "tfserving", "tensorflow")],
)
def test_the_commands_that_shift_traffic(
    tmp_path: Path, page: Path, backend: str, lineage: str
) -> None:
    offered = {
        name: {"lineages": {lineage: options}}
        for name, options in {backend: {"model": "m"}, "onnx": {"artifact": "mixed.onnx"}}.items()
    }
    write_model(tmp_path / "m", MIXED | {"name": "house-price", "backends": offered})
    lines = "".join(blocks(page, "bash")).splitlines()
    commands = [line.partition("gateway ")[2] for line in lines if "gateway route " in line]
    assert len(commands) == 4
    for command in commands:
        told = CliRunner().invoke(app, [*shlex.split(command), "--repository", str(tmp_path)])
        assert told.exit_code == 0, (command, told.output, told.exception)
    policy = (tmp_path / "routing.yaml").read_text()
    assert "default: onnx" in policy
    assert backend in policy
    assert "canary" not in policy
    assert "shadow" not in policy


@pytest.mark.parametrize("path", ["/v1/models/mixed:predict", "/predictions/mixed"])
async def test_old_clients_keep_their_paths(
    mixed_repository: Path, make_client: MakeClient, path: str
) -> None:
    assert path.replace("mixed", "M") in (TORCHSERVE.read_text() + TENSORFLOW.read_text())
    client = await make_client(mixed_repository, predict_route=path, health_route="/ping")
    async with client.post(path, json={"instances": payloads(2)}) as response:
        assert response.status == 200
        assert (await response.json())["predictions"] == [add_up(row) for row in payloads(2)]
    async with client.get("/ping") as response:
        assert response.status == 200


async def test_a_missing_adapter_is_told(tmp_path: Path, make_client: MakeClient) -> None:
    backends = MIXED["backends"] | {"other": {"lineages": {"pytorch": {}}}}
    write_model(tmp_path / "mixed", MIXED | {"backends": backends})
    client = await make_client(tmp_path, {"onnx": MemoryBackend(lambda rows: {}, "onnx")})
    async with client.get("/v1/models") as response:
        assert "'other' has no adapter" in str((await response.json())["failures"])
