"""A client's mistake that only the graph finds: 422 for who made it, an answer for the others."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import numpy as np
import pytest
import yaml
from onnx import TensorProto, helper

from tests.conftest import MakeClient, save

EMBEDDED = np.arange(5, dtype=np.float32)


def write_embedding(folder: Path) -> None:
    """``y`` = the mean of five weights at ``ids``, × ``by``, as long."""
    (folder / "1").mkdir(parents=True)
    inputs = [
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", "length"]),
        helper.make_tensor_value_info("by", TensorProto.FLOAT, ["n", "other"]),
    ]
    constants = [
        helper.make_tensor("w", TensorProto.FLOAT, [5], EMBEDDED.tolist()),
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
    ]
    nodes = [
        helper.make_node("Gather", ["w", "ids"], ["found"]),
        helper.make_node("Mul", ["found", "by"], ["weighed"]),
        helper.make_node("ReduceMean", ["weighed", "axis"], ["y"], keepdims=0),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])]
    save(helper.make_graph(nodes, "g", inputs, outputs, constants), folder / "1" / "g.onnx")
    manifest = {
        "name": "embedding",
        "features": [
            {"name": "ids", "type": "tensor", "shape": [None], "dtype": "int64"},
            {"name": "by", "type": "tensor", "shape": [None]},
        ],
        "outputs": [{"name": "y"}],
        "backends": {"onnx": {"lineages": {"made": {"artifact": "g.onnx"}}}},
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest))


@pytest.mark.parametrize(
    ("ids", "by", "said"),
    [
        ([1, 99], [1.0, 1.0], "onnx: Gather: indices element out of data bounds, idx=99"),
        ([1, 2, 3], [1.0, 1.0], "onnx: Mul: Attempting to broadcast an axis"),
    ],
)
async def test_the_engines_own_reason_is_the_clients(
    tmp_path: Path,
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
    ids: list[int],
    by: list[float],
    said: str,
) -> None:
    write_embedding(tmp_path / "models" / "embedding")
    client = await make_client(tmp_path / "models")
    for query in ("", "?backend=auto"):
        reply = await client.post(f"/v1/predict{query}", json={"ids": ids, "by": by})
        problem = await reply.json()
        assert reply.status == 422
        assert problem["type"].endswith(":input-refused")
        assert problem["detail"].startswith(said)
        assert problem["errors"][0]["kind"] == "engine"
        assert str(tmp_path) not in str(problem)
        assert "/onnxruntime" not in str(problem)
    reply = await client.post("/v1/compare", json={"ids": ids, "by": by})
    assert reply.status == 422
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


async def test_neighbours_in_a_batch_are_answered(tmp_path: Path, make_client: MakeClient) -> None:
    write_embedding(tmp_path / "models" / "embedding")
    client = await make_client(tmp_path / "models")

    async def ask(last: int) -> tuple[int, float | None]:
        reply = await client.post("/v1/predict", json={"ids": [0, last], "by": [1.0, 1.0]})
        answer = await reply.json()
        return reply.status, answer["predictions"][0]["y"] if reply.status == 200 else None

    lasts = [99 if n % 5 == 0 else n % 5 for n in range(60)]
    answers = await asyncio.gather(*map(ask, lasts))
    assert answers == [(422, None) if last == 99 else (200, last / 2) for last in lasts]
