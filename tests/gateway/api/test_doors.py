"""The doors that say what is there and how it does."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Client, MakeClient


@pytest.fixture
async def client(make_client: MakeClient, mixed_repository: Path) -> Client:
    return await make_client(mixed_repository)


async def test_models(client: Client) -> None:
    content = await (await client.get("/v1/models")).json()
    assert content == {
        "models": [
            {
                "name": "mixed",
                "description": "Adds up.",
                "versions": ["1"],
                "backends": {"onnx": ["pytorch"]},
            }
        ],
        "failures": {},
    }


async def test_model(client: Client) -> None:
    content = await (await client.get("/v1/models/mixed")).json()
    assert content["features"][0] == {
        "name": "count",
        "type": "integer",
        "unit": "pieces",
        "range": [0.0, 10.0],
        "example": 2,
    }
    assert content["backends"] == {"onnx": ["pytorch"]}
    jsonschema.validate(content["example"], content["schema"])
    response = await client.post("/v1/predict", json=content["example"])
    assert response.status == 200


async def test_unknown_model_and_version(client: Client) -> None:
    assert (await client.get("/v1/models/other")).status == 404
    response = await client.get("/v1/models/mixed?version=4")
    assert (response.status, (await response.json())["allowed"]) == (404, ["1"])


async def test_backends(client: Client) -> None:
    (entry,) = (await (await client.get("/v1/backends")).json())["backends"]
    assert entry["name"] == "onnx"
    assert entry["state"] == "ready"
    assert entry["stand_in"] is None
    assert entry["models"] == [
        {
            "model": "mixed",
            "version": "1",
            "lineage": "pytorch",
            "active": True,
            "ready": True,
            "breaker": "closed",
            "queued_rows": 0,
            "detail": "",
            "providers": {
                "asked": ["CPUExecutionProvider"],
                "active": ["CPUExecutionProvider"],
                "nodes": {},
                "warnings": [],
            },
        }
    ]


async def test_health_and_readiness(client: Client) -> None:
    assert (await (await client.get("/healthz")).json())["status"] == "alive"
    assert (await client.get("/readyz")).status == 200


async def test_not_ready_says_why(make_client: MakeClient, mixed_repository: Path) -> None:
    (mixed_repository / "mixed" / "1" / "mixed.onnx").unlink()
    client = await make_client(mixed_repository)
    response = await client.get("/readyz")
    assert response.status == 503
    assert "mixed.onnx" in (await response.json())["reasons"][0]
    assert (await client.get("/healthz")).status == 200


async def test_metrics_count_what_happened(client: Client) -> None:
    example = (await (await client.get("/v1/models/mixed")).json())["example"]
    for _ in range(3):
        await client.post("/v1/predict", json={"instances": [example] * 2})
    await client.post("/v1/predict", json={})
    response = await client.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain")
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(await response.text())
        for sample in family.samples
    }
    labels = [
        ("backend", "onnx"),
        ("door", "/v1/predict"),
        ("lineage", "pytorch"),
        ("model", "mixed"),
    ]
    assert samples["gateway_requests_total", *labels, ("status", "200")] == 3
    assert samples["gateway_requests_total", *labels, ("status", "422")] == 1
    target = [("backend", "onnx"), ("lineage", "pytorch"), ("model", "mixed")]
    assert samples["gateway_backend_ready", *target, ("version", "1")] == 1
    assert samples["gateway_backend_seconds_count", *target] == 3
    assert samples["gateway_batch_rows_sum", *target] == 6
