"""The routing policy at the doors: canary, shadow, deadlines, and what is shown of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.backends import MemoryBackend
from gateway.models.rows import Outputs, Rows
from tests.conftest import MIXED, Client, MakeClient, write_model

PAYLOAD = {"count": 2, "size": 0.5, "big": True, "name": "b"}
BACKENDS: dict[str, Any] = {
    "old": {"lineages": {"pytorch": {}}},
    "new": {"lineages": {"pytorch": {}}},
}


def total(offset: float) -> Any:
    def predict(rows: Rows) -> Outputs:
        summed = np.add(rows.columns["count"], rows.columns["size"], dtype=np.float64)
        return {"total": summed + offset, "named": rows.columns["name"]}

    return predict


class Stage:
    """A gateway with two backends, of which the new one is a little off."""

    def __init__(self, folder: Path, client: Client, new: MemoryBackend) -> None:
        self.policy = folder / "routing.yaml"
        self.client = client
        self.new = new

    async def route(self, text: str) -> None:
        """Write the policy and wait until it is in force, or refused."""
        before = await self.get("/v1/routing")
        self.policy.write_text(text)
        for _ in range(400):
            if await self.get("/v1/routing") != before:
                return
            await asyncio.sleep(0.05)
        pytest.fail("the policy was not followed within twenty seconds")

    async def get(self, path: str) -> Any:
        async with self.client.get(path) as response:
            assert response.status == 200
            return await response.json()

    async def predict(self, query: str = "", **headers: str) -> Any:
        async with self.client.post(
            f"/v1/predict{query}", json=PAYLOAD, headers=headers
        ) as response:
            content = await response.json()
            assert response.status == content.get("status", 200), content
            return content


@pytest.fixture
async def stage(tmp_path: Path, make_client: MakeClient) -> Stage:
    write_model(tmp_path / "mixed", MIXED | {"backends": BACKENDS})
    new = MemoryBackend(total(0.25), "new")
    backends = {"old": MemoryBackend(total(0), "old"), "new": new}
    client = await make_client(tmp_path, backends, required_backends="old")
    return Stage(tmp_path, client, new)


async def test_the_policy_is_followed_and_shown(stage: Stage) -> None:
    assert (await stage.predict())["backend"] == "old"
    await stage.route("models: {mixed: {default: new}}")
    for _ in range(3):
        assert (await stage.predict())["backend"] == "new"
        assert (await stage.predict("?backend=old"))["backend"] == "old"
    shown = await stage.get("/v1/routing")
    assert shown["models"] == {"mixed": {"default": "new"}}
    assert shown["error"] is None
    await stage.route("models: {mixed: {default: newer}}")
    shown = await stage.get("/v1/routing")
    assert "newer" in shown["error"]
    assert shown["models"] == {"mixed": {"default": "new"}}
    assert (await stage.predict())["backend"] == "new"


async def test_the_canary_sticks(stage: Stage) -> None:
    await stage.route("models: {mixed: {canary: {weights: {old: 50, new: 50}, sticky: X-User-Id}}}")
    queries = ("", "?backend=auto", "", "?model=mixed", "")
    for user in range(20):
        sticky = {"X-User-Id": str(user)}
        answers = {(await stage.predict(query, **sticky))["backend"] for query in queries}
        assert len(answers) == 1
    seen = {(await stage.predict("", **{"X-User-Id": str(user)}))["backend"] for user in range(40)}
    assert seen == {"old", "new"}


async def test_a_shadow_is_reported(stage: Stage) -> None:
    await stage.route("models: {mixed: {default: old, shadow: {candidate: new}}}")
    for _ in range(20):
        assert (await stage.predict())["backend"] == "old"
    async with asyncio.timeout(20):
        while True:
            (report,) = (await stage.get("/v1/shadow"))["models"]
            if report["requests"]["compared"] == 20:
                break
            await asyncio.sleep(0.05)
    assert report["agreement"] == 0
    assert report["largest_difference"]["difference"] == pytest.approx(0.25)
    assert report["largest_difference"]["payload"] == PAYLOAD
    assert report["candidate"]["backend"] == "new"
    metrics = await (await stage.client.get("/metrics")).text()
    assert 'outcome="differing"} 20.0' in metrics


async def test_auto_answers_while_the_default_is_gone(stage: Stage) -> None:
    stage.new.fail = None
    await stage.route("models: {mixed: {default: new, fallback: [old]}}")
    stage.new.delay = 30
    answer = await stage.predict("?backend=auto", **{"X-Request-Timeout-Ms": "2000"})
    assert answer["backend"] == "old"
    answer = await stage.predict("?backend=new", **{"X-Request-Timeout-Ms": "100"})
    assert answer["status"] == 504


@pytest.mark.parametrize("sent", ["soon", "-1", "0", "nan", "inf"])
async def test_a_bad_deadline_is_refused(stage: Stage, sent: str) -> None:
    for _ in range(2):
        answer = await stage.predict("", **{"X-Request-Timeout-Ms": sent})
        assert answer["status"] == 400
        assert answer["field"] == "X-Request-Timeout-Ms"
