"""``POST /v1/predict`` through a real HTTP connection: answers, bad input, failing backends."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.backends import MemoryBackend, OnnxBackend
from gateway.errors import BackendError, BackendTimeout, BackendUnavailable
from gateway.models.rows import Rows
from tests.conftest import MIXED, Client, MakeClient, write_model

GOOD: dict[str, Any] = {"count": 2, "size": 0.5, "big": True, "name": "b"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def client(make_client: MakeClient, mixed_repository: Path) -> Client:
    return await make_client(mixed_repository, max_body_bytes=20_000, max_instances=10)


async def test_one_payload(client: Client) -> None:
    response = await client.post("/v1/predict?backend=onnx", json=GOOD)
    assert response.status == 200
    content = await response.json()
    assert content.pop("request_id") == response.headers["X-Request-Id"]
    assert content == {
        "model": "mixed",
        "version": "1",
        "backend": "onnx",
        "lineage": "pytorch",
        "predictions": [{"total": 102.5, "named": "b"}],
        "warnings": [],
    }
    assert "validation;dur=" in response.headers["Server-Timing"]
    assert "backend;dur=" in response.headers["Server-Timing"]


async def test_many_payloads_and_warnings(client: Client) -> None:
    batch = {"instances": [GOOD, GOOD | {"count": 11}]}
    response = await client.post("/v1/predict?model=mixed&version=1&lineage=pytorch", json=batch)
    content = await response.json()
    assert [row["total"] for row in content["predictions"]] == [102.5, 111.5]
    assert content["warnings"] == ["instances/1/count: 11 is outside the training range 0–10"]


async def test_request_id_is_taken_over_if_it_can_be(client: Client) -> None:
    for given, kept in [("abc-1", True), ("x" * 200, False), ("with space", False)]:
        response = await client.post("/v1/predict", json=GOOD, headers={"X-Request-Id": given})
        assert (response.headers["X-Request-Id"] == given) is kept


LONG = b'{"count": ' + b"9" * 10_000 + b"}"
BAD: list[tuple[str, bytes, int, str]] = [
    ("empty body", b"", 400, "body"),
    ("broken JSON", b'{"count": ', 400, "body"),
    ("a list", b"[1]", 400, "body"),
    ("a number", b"3", 400, "body"),
    ("missing field", b'{"count": 1, "size": 1, "big": true}', 422, "name"),
    ("unknown field", json.dumps(GOOD | {"colour": 1}).encode(), 422, "colour"),
    ("wrong type", json.dumps(GOOD | {"size": []}).encode(), 422, "size"),
    ("text for a number", json.dumps(GOOD | {"count": "22"}).encode(), 422, "count"),
    ("true for a number", json.dumps(GOOD | {"count": True}).encode(), 422, "count"),
    ("NaN", json.dumps(GOOD | {"size": float("nan")}).encode(), 422, "size"),
    ("Infinity", json.dumps(GOOD | {"size": float("inf")}).encode(), 422, "size"),
    ("1e999", json.dumps(GOOD).replace("0.5", "1e999").encode(), 422, "size"),
    ("unknown category", json.dumps(GOOD | {"name": "z"}).encode(), 422, "name"),
    ("wrong case", json.dumps(GOOD | {"name": "B"}).encode(), 422, "name"),
    ("empty instances", b'{"instances": []}', 422, "instances"),
    ("too many instances", json.dumps({"instances": [GOOD] * 11}).encode(), 422, "instances"),
    ("deep nesting", b"[" * 10_000, 400, "body"),
    ("deep objects", b'{"a":' * 4_000, 400, "body"),
    ("invalid UTF-8", b'{"name": "\xff"}', 400, "body"),
    ("a very long number", LONG, 422, "count"),
]


@pytest.mark.parametrize(("body", "status", "field"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
async def test_bad_input_is_named_and_the_next_request_works(
    client: Client, body: bytes, status: int, field: str
) -> None:
    response = await client.post("/v1/predict", data=body, headers=JSON)
    assert response.status == status
    assert response.content_type == "application/problem+json"
    problem = await response.json()
    entries = problem.get("errors") or [problem]
    assert field in [entry["field"] for entry in entries]
    assert all(entry["allowed"] for entry in entries)
    assert problem["detail"].startswith(f"{field}: ")
    assert problem["status"] == status
    assert (await client.post("/v1/predict", json=GOOD)).status == 200


async def test_too_large_a_body(client: Client) -> None:
    body = json.dumps(GOOD).encode() + b" " * 20_000
    response = await client.post("/v1/predict", data=body, headers=JSON)
    assert response.status == 413
    assert (await response.json())["limit_bytes"] == 20_000
    assert (await client.post("/v1/predict", json=GOOD)).status == 200


async def test_wrong_method_and_content_type(client: Client) -> None:
    response = await client.get("/v1/predict")
    assert (response.status, response.headers["Allow"]) == (405, "POST")
    assert (await response.json())["allowed"] == ["POST"]
    for sent in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ):
        response = await client.post("/v1/predict", data=b"{}", headers={"Content-Type": sent})
        assert response.status == 415
        assert (await response.json())["allowed"] == ["application/json"]
    for sent in ("application/json; charset=utf-8", "application/vnd.features+json"):
        body = json.dumps(GOOD).encode()
        response = await client.post("/v1/predict", data=body, headers={"Content-Type": sent})
        assert response.status == 200


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("backend=nope", 404, "backend"),
        ("model=nope", 404, "model"),
        ("version=nope", 404, "version"),
        ("lineage=nope", 404, "lineage"),
        ("backend=onnx&lineage=tensorflow", 404, "lineage"),
        ("bakcend=onnx", 400, "query"),
    ],
)
async def test_unknown_names(client: Client, query: str, status: int, field: str) -> None:
    response = await client.post(f"/v1/predict?{query}", json=GOOD)
    problem = await response.json()
    assert (response.status, problem["field"]) == (status, field)
    assert problem["allowed"]


async def test_an_unknown_path_lists_the_doors(client: Client) -> None:
    response = await client.get("/predict")
    assert response.status == 404
    assert "/v1/predict" in (await response.json())["allowed"]


#: Short, as a test waits for it; a stall of this length breaks the others.
_DEADLINE_S = 2.0


def answers(rows: Rows) -> dict[str, Any]:
    return {"total": np.full(rows.count, np.nan), "named": rows.columns["name"]}


@pytest.fixture
async def two(make_client: MakeClient, tmp_path: Path) -> tuple[Client, MemoryBackend]:
    backends = MIXED["backends"] | {"remote": {"lineages": {"pytorch": {}}}}
    write_model(tmp_path / "mixed", MIXED | {"backends": backends})
    remote = MemoryBackend(answers, "remote")
    client = await make_client(
        tmp_path, {"onnx": OnnxBackend(1), "remote": remote}, request_timeout_s=_DEADLINE_S
    )
    return client, remote


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BackendError("remote", "it broke"), 502),
        (BackendUnavailable("remote", "it is down"), 503),
        (BackendTimeout("remote", "it is late"), 504),
    ],
)
async def test_a_failing_backend_is_named_while_the_others_answer(
    two: tuple[Client, MemoryBackend], error: BackendError, status: int
) -> None:
    client, remote = two
    remote.fail = error
    response = await client.post("/v1/predict?backend=remote", json=GOOD)
    problem = await response.json()
    assert (response.status, problem["backend"]) == (status, "remote")
    assert ("Retry-After" in response.headers) is (status == 503)
    assert (await client.post("/v1/predict?backend=onnx", json=GOOD)).status == 200


async def test_a_hanging_backend_costs_its_deadline(two: tuple[Client, MemoryBackend]) -> None:
    client, remote = two
    remote.delay = 30
    started = asyncio.get_running_loop().time()
    response = await client.post("/v1/predict?backend=remote", json=GOOD)
    assert response.status == 504
    assert asyncio.get_running_loop().time() - started < _DEADLINE_S + 10


async def test_numbers_that_are_not_finite_are_null_and_said_to_be(
    two: tuple[Client, MemoryBackend],
) -> None:
    client, _ = two
    content = await (await client.post("/v1/predict?backend=remote", json=GOOD)).json()
    assert content["predictions"] == [{"total": None, "named": "b"}]
    assert content["warnings"] == [
        "total: some values are not finite numbers; they are given as null"
    ]


async def test_a_bug_is_a_500_without_its_traceback(two: tuple[Client, MemoryBackend]) -> None:
    client, remote = two

    def bug(rows: Rows) -> dict[str, Any]:
        raise RuntimeError("a secret detail")

    remote.predictor = bug
    response = await client.post("/v1/predict?backend=remote", json=GOOD)
    text = await response.text()
    assert response.status == 500
    assert "secret" not in text
    assert "Traceback" not in text
    assert json.loads(text)["request_id"]
