"""Targets that cannot be loaded: they say why, and all the others are served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.backends import MemoryBackend, OnnxBackend, Target
from gateway.backends.base import Call, Health
from tests.conftest import MIXED, Client, MakeClient, linear_graph, write_model
from tests.gateway.routing.test_versions import ones
from tests.pictures import draw, encoded, text

ROW = {"count": 2, "size": 0.5, "big": True, "name": "b"}
SERVER: dict[str, Any] = {
    "name": "other",
    "features": [{"name": "x", "type": "number"}],
    "outputs": [{"name": "y"}],
    "backends": {"memory": {"lineages": {"only": {}}}},
}
LARGE = text(encoded(draw((50, 50))))
IMAGE: dict[str, Any] = {
    "name": "other",
    "features": [{"name": "x", "type": "image", "mode": "L", "size": [40, 40], "example": LARGE}],
    "outputs": [{"name": "y"}],
    "backends": {"onnx": {"lineages": {"only": {"artifact": "linear.onnx"}}}},
}


class Faulty(MemoryBackend):
    """An adapter whose ``fault``, a method, raises what no adapter should."""

    def __init__(self, fault: str) -> None:
        super().__init__(ones)
        self._fault = fault

    def _trip(self, place: str) -> None:
        if place == self._fault:
            raise ZeroDivisionError("it divides by nothing")

    async def load(self, target: Target) -> None:
        self._trip("load")

    async def check(self, target: Target, call: Call) -> Health:
        self._trip("check")
        return Health(True)


async def state_of_the_other(client: Client) -> dict[str, Any]:
    """What is said of the other model, after the mixed one has answered."""
    async with client.post("/v1/predict?model=mixed", json=ROW) as answer:
        assert (await answer.json())["predictions"] == [{"total": 102.5, "named": "b"}]
    found = (await (await client.get("/v1/backends")).json())["backends"]
    (entry,) = [e for backend in found for e in backend["models"] if e["model"] == "other"]
    assert entry["ready"] is False
    reasons = (await (await client.get("/readyz")).json())["reasons"]
    assert any("other version 1 (only): " + entry["detail"] in reason for reason in reasons)
    return dict(entry)


async def test_an_example_that_is_too_large_stops_one_model(
    make_client: MakeClient, mixed_repository: Path
) -> None:
    version = write_model(mixed_repository / "other", IMAGE)
    linear_graph(version / "linear.onnx", [1.0] * 1600)
    client = await make_client(mixed_repository, max_image_pixels=500)
    entry = await state_of_the_other(client)
    assert entry["detail"].startswith("the manifest's example: x: ")
    async with client.post("/v1/predict?model=other", json={"x": ""}) as answer:
        assert answer.status == 422


@pytest.mark.parametrize("fault", ["load", "check"])
async def test_an_adapters_mistake_stops_one_model(
    make_client: MakeClient, mixed_repository: Path, fault: str
) -> None:
    write_model(mixed_repository / "other", SERVER)
    backends = {"onnx": OnnxBackend(1), "memory": Faulty(fault)}
    client = await make_client(mixed_repository, backends, required_backends="onnx,memory")
    assert "it divides by nothing" in (await state_of_the_other(client))["detail"]
    if fault == "load":
        async with client.post("/v1/predict?model=other", json={"x": 1}) as answer:
            assert answer.status == 503
            assert "not loaded: it divides by nothing" in (await answer.json())["detail"]


async def test_a_batched_model_without_a_warm_up_is_served(
    make_client: MakeClient, tmp_path: Path
) -> None:
    write_model(tmp_path / "mixed", MIXED | {"warm_up": False})
    client = await make_client(tmp_path)
    assert (await client.get("/readyz")).status == 200
    async with client.post("/v1/predict?model=mixed", json={"instances": [ROW] * 20}) as answer:
        assert (await answer.json())["predictions"] == [{"total": 102.5, "named": "b"}] * 20
