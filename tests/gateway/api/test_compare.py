"""``POST /v1/compare`` over a real HTTP connection: whom it asks, and what it says of failures."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest
import yaml

from gateway.api.compare import nobody
from gateway.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    GatewayError,
    Overloaded,
)
from gateway.models.rows import Outputs, Rows
from tests.conftest import MakeClient
from tests.gateway.api.side_by_side import GOOD, TARGETS, Stage, names


@pytest.fixture
async def stage(make_client: MakeClient, tmp_path: Path) -> Stage:
    stage = Stage()
    await stage.open(make_client, tmp_path)
    return stage


async def test_all_backends_answer_one_payload(stage: Stage) -> None:
    content = await stage.compare(body=GOOD | {"count": 11}, **{"X-Request-Id": "one"})
    assert (content["model"], content["version"], content["request_id"]) == ("mixed", "1", "one")
    assert names(content) == TARGETS
    for result in content["results"]:
        assert result["predictions"] == [{"total": 111.5, "named": "b"}]
        assert 0 < result["latency_ms"] < 30_000
        assert (result["error"], result["stand_in"], result["version"]) == (None, None, "1")
    assert content["warnings"] == ["count: 11 is outside the training range 0–10"]
    assert stage.torchserve.ids == stage.tfserving.ids == ["one"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?lineage=pytorch", ["onnx/pytorch", "torchserve/pytorch"]),
        ("?backends=onnx", TARGETS[:2]),
        ("?backends=torchserve,onnx", TARGETS[:3]),
        ("?backends=torchserve&backends=onnx", TARGETS[:3]),
        ("?backends=onnx&lineage=tensorflow&model=mixed&version=1", TARGETS[1:2]),
    ],
)
async def test_the_query_chooses(stage: Stage, query: str, expected: list[str]) -> None:
    assert names(await stage.compare(query)) == expected


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("?backends=nope", 404, "backend"),
        ("?backends=onnx,", 404, "backend"),
        ("?backends=", 404, "backend"),
        ("?backends=auto", 404, "backend"),
        ("?model=nope", 404, "model"),
        ("?version=2", 404, "version"),
        ("?lineage=nope", 404, "lineage"),
        ("?backends=onnx,torchserve&lineage=tensorflow", 404, "lineage"),
        ("?backend=onnx", 400, "query"),
    ],
)
async def test_unknown_names(stage: Stage, query: str, status: int, field: str) -> None:
    found, problem = await stage.post(query)
    assert (found, problem["field"]) == (status, field)
    assert problem["allowed"]


async def test_bad_input_reaches_no_backend(stage: Stage) -> None:
    status, problem = await stage.post(body=GOOD | {"name": "z"})
    assert (status, problem["errors"][0]["field"]) == (422, "name")
    for body, code in ((b"{", 400), (b" " * 20_000_000, 413)):
        answer = await stage.client.post("/v1/compare", data=body)
        assert answer.status == 415  # an octet stream, before the body is looked at
        kind = {"Content-Type": "application/json"}
        answer = await stage.client.post("/v1/compare", data=body, headers=kind)
        assert answer.status == code
    timeout = {"X-Request-Timeout-Ms": "soon"}
    assert (await stage.post(**timeout))[0] == 400
    assert stage.torchserve.calls == stage.tfserving.calls == []
    assert (await stage.client.get("/v1/compare")).status == 405


async def test_it_is_partial_where_one_is_down(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.torchserve.fail = BackendError("torchserve", "its worker died")
    content = await stage.compare()
    assert names(content) == TARGETS
    failed = content["results"].pop(2)
    assert failed["error"] == {
        "type": "urn:problem-type:gateway:backend-error",
        "title": "The backend failed",
        "status": 502,
        "detail": "torchserve: its worker died",
        "backend": "torchserve",
    }
    assert (failed["predictions"], failed["latency_ms"]) == (None, None)
    assert all(result["predictions"] for result in content["results"])
    assert [pair["backends"] for pair in content["agreement"]] == [["onnx", "tfserving"]]
    assert content["distances"][0]["backends"] == ["onnx", "onnx"]
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.message for record in logged] == ["torchserve: its worker died"]


async def test_a_bug_behind_one_backend_is_a_500_of_its_own(stage: Stage) -> None:
    def bug(rows: Rows) -> Outputs:
        raise RuntimeError("a secret detail")

    stage.tfserving.predictor = bug
    content = await stage.compare()
    assert content["results"][3]["error"]["status"] == 500
    assert "secret" not in str(content)
    assert [result["error"] is None for result in content["results"]] == [True] * 3 + [False]


@pytest.mark.parametrize(
    ("errors", "status"),
    [
        ((BackendError, BackendError), 502),
        ((BackendUnavailable, BackendUnavailable), 503),
        ((BackendUnavailable, Overloaded), 503),
        ((BackendTimeout, BackendTimeout), 504),
        ((BackendUnavailable, BackendTimeout), 502),
    ],
)
async def test_where_none_answers_it_says_why(
    stage: Stage,
    errors: tuple[type[BackendError], type[BackendError]],
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage.torchserve.fail = errors[0]("torchserve", "no worker")
    stage.tfserving.fail = errors[1]("tfserving", "no servable")
    found, problem = await stage.post("?backends=torchserve,tfserving")
    assert (found, problem["backend"]) == (status, "torchserve, tfserving")
    assert "torchserve: no worker" in problem["detail"]
    assert "tfserving: no servable" in problem["detail"]
    # Each error has its line, what they come to has none.
    expected = sum(error.logged for error in errors)
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == expected
    found, problem = await stage.post("?backends=torchserve")
    assert (found, problem["detail"]) == (errors[0].status, "torchserve: no worker")


def test_one_bug_among_failures_is_the_gateways_fault() -> None:
    bug = GatewayError("something went wrong")
    assert nobody([BackendError("a", "it broke"), bug]) is bug
    soon, late = BackendUnavailable("a", "gone"), BackendUnavailable("a", "gone")
    soon.retry_after_s, late.retry_after_s = 2, 5
    assert nobody([late, soon]).headers == {"Retry-After": "2"}


async def test_all_are_asked_at_once_and_within_the_deadline(stage: Stage) -> None:
    # Neither server answers before the other was asked.
    stage.torchserve.gate = stage.tfserving.gate = asyncio.Barrier(2)
    stage.torchserve.delay = stage.tfserving.delay = 0.8
    content = await stage.compare()
    latencies = [result["latency_ms"] for result in content["results"]]
    assert max(latencies[:2]) < 799 <= min(latencies[2:])
    stage.torchserve.gate = stage.tfserving.gate = None
    stage.torchserve.delay, stage.tfserving.delay = 0.0, 30.0
    started = time.perf_counter()
    content = await stage.compare(**{"X-Request-Timeout-Ms": "1500"})
    assert 1.5 <= time.perf_counter() - started < 15
    assert max(stage.torchserve.deadlines[1], stage.tfserving.deadlines[1]) <= 1.5
    errors = [result["error"] for result in content["results"]]
    assert errors[:3] == [None] * 3
    assert errors[3]["status"] == 504


async def test_none_answers_in_anothers_place(make_client: MakeClient, tmp_path: Path) -> None:
    policy = {
        "default": "onnx/pytorch",
        "fallback": ["onnx/pytorch"],
        "canary": {"weights": {"torchserve": 100}},
        "shadow": {"candidate": "tfserving", "share": 1.0},
    }
    (tmp_path / "routing.yaml").write_text(yaml.safe_dump({"models": {"mixed": policy}}))
    stage = Stage()
    await stage.open(make_client, tmp_path)
    stage.torchserve.fail = BackendError("torchserve", "its worker died")
    content = await stage.compare()
    assert names(content) == TARGETS
    assert content["results"][2]["error"]["status"] == 502
    await asyncio.sleep(0.1)
    assert stage.tfserving.calls == [1]
    # The policy is in force: it holds for predictions.
    for done, query in ((0, None), (1, "?backend=auto")):
        if query is not None:
            assert (await stage.post(query, door="predict"))[1]["backend"] == "onnx"
        (report,) = (await (await stage.client.get("/v1/shadow")).json())["models"]
        found = await stage.metrics()
        assert report["requests"]["offered"] == done
        assert sum(n for key, n in found.items() if key[0] == "gateway_fallbacks_total") == done


async def test_each_target_goes_through_its_own_lane(stage: Stage) -> None:
    assert (await stage.post(door="predict"))[0] == 200
    stage.torchserve.fail = BackendUnavailable("torchserve", "it is down")
    for _ in range(6):
        content = await stage.compare(body={"instances": [GOOD] * 2})
    assert "left alone" in content["results"][2]["error"]["detail"]
    found = await stage.metrics()
    # One request of a client's is one, whatever it asked; its targets have their own series.
    assert found["gateway_requests_total", "", "/v1/compare", "", "mixed", "200"] == 6
    compared = [key for key in found if key[0] == "gateway_requests_total" and key[2] != "/metrics"]
    assert sum(found[key] for key in compared) == 7
    assert found["gateway_request_seconds_count", "", "/v1/compare"] == 6
    assert found["gateway_validation_seconds_count", "mixed"] == 7
    assert found["gateway_batch_rows_sum", "tfserving", "tensorflow", "mixed"] == 12
    assert found["gateway_batch_rows_sum", "onnx", "pytorch", "mixed"] == 13
    assert found["gateway_breaker_state", "torchserve", "pytorch", "mixed"] == 2


async def test_the_log_names_the_model_and_no_backend(
    make_client: MakeClient, mixed_repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = await make_client(mixed_repository, access_log=True)
    with caplog.at_level(logging.INFO, "gateway"):
        assert (await client.post("/v1/compare", json=GOOD)).status == 200
    fields = next(r.fields for r in caplog.records if r.message == "request")  # type: ignore[attr-defined]
    assert (fields["model"], fields["version"], fields["rows"]) == ("mixed", "1", 1)
    assert not {"backend", "lineage", "tried"} & fields.keys()
