"""Rows that a network fails on, sent to a real TorchServe through the gateway: nobody else pays."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from onnx import TensorProto, helper

from handlers.handler import _network
from serving.export.archive import make_archive
from tests.conftest import Client, MakeClient, save
from tests.handlers.live import live

NETWORK = """
import torch


class Embedded(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(5, 1)

    def forward(self, ids):
        return self.table(ids).sum(dim=1)
"""
FOREIGN = """
def handle(data, context):
    if data is None:
        return None
    rows = [row for request in data for row in request["body"]]
    if any(99 in row["ids"] for row in rows):
        raise ValueError("token 99")
    return [[{"y": 1.0} for _ in request["body"]] for request in data]
"""
GOOD, BAD = {"ids": [1, 2]}, {"ids": [1, 99]}


def write_model(repository: Path, name: str) -> Path:
    """A model folder for TorchServe alone; returns its version's folder."""
    version = repository / name / "1"
    version.mkdir(parents=True)
    manifest = {
        "name": name,
        "features": [{"name": "ids", "type": "tensor", "shape": [2], "dtype": "int64"}],
        "outputs": [{"name": "y"}],
        "backends": {"torchserve": {"lineages": {"pytorch": {"model": name}}}},
    }
    (repository / name / "model.yaml").write_text(yaml.safe_dump(manifest))
    return version


def write_ours(repository: Path) -> None:
    """An embedding of five, behind this project's handler."""
    version = write_model(repository, "ours")
    net_file = repository.parent / "net.py"
    net_file.write_text(NETWORK)
    values = [helper.make_tensor_value_info(n, TensorProto.INT64, ["n", 2]) for n in ("ids", "out")]
    node = helper.make_node("Identity", ["ids"], ["out"])
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    preprocess = save(graph, repository.parent / "preprocess.onnx")
    manifest = repository / "ours" / "model.yaml"
    make_archive("ours", _network(net_file), net_file, manifest, preprocess, version / "ours.mar")


def write_foreign(repository: Path) -> None:
    """A handler of somebody's own, which raises."""
    version = write_model(repository, "foreign")
    model = {"modelName": "foreign", "handler": "foreign.py:handle", "modelVersion": "1"}
    packed = {"runtime": "python", "model": model, "archiverVersion": "0.12.0"}
    with zipfile.ZipFile(version / "foreign.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(packed))
        archive.writestr("foreign.py", FOREIGN)


async def ask(client: Client, model: str, row: dict[str, Any]) -> tuple[int, Any]:
    reply = await client.post(f"/v1/predict?model={model}", json=row)
    return reply.status, await reply.json()


@pytest.mark.java
async def test_bad_rows_do_not_close_torchserve_for_everybody(
    tmp_path: Path, make_client: MakeClient
) -> None:
    repository = tmp_path / "models"
    write_ours(repository)
    write_foreign(repository)
    async with live(tmp_path / "run", repository, make_client) as (_, client):
        for model, refused, said in (
            ("ours", 422, "index out of range"),
            ("foreign", 502, "its handler failed: Prediction failed"),
        ):
            # Twice as many as open a breaker.
            for _ in range(10):
                status, problem = await ask(client, model, BAD)
                assert (status, said in problem["detail"]) == (refused, True), problem
            status, answer = await ask(client, model, GOOD)
            assert status == 200, answer
