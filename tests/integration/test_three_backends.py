"""One payload through three real backends: the same answers, the same refusals."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from serving.dataset import Dataset
from serving.weight_change.data import generate, read_csv
from tests.conftest import TALK
from tests.integration.conftest import Stack

#: The first test starts the servers.
pytestmark = [pytest.mark.java, pytest.mark.timeout(900)]

BACKENDS = ["onnx", "torchserve", "tfserving"]
#: Each remote backend and the lineage of the export it is judged against.
LINEAGES = [("torchserve", "pytorch"), ("tfserving", "tensorflow")]
TOLERANCE_LB = 1e-4


def payloads(data: Dataset) -> list[dict[str, Any]]:
    columns = [column.tolist() for column in data.columns.values()]
    return [dict(zip(data.columns, row, strict=True)) for row in zip(*columns, strict=True)]


def values(response: requests.Response) -> list[float]:
    assert response.status_code == 200, response.text
    return [row["weight_change"] for row in response.json()["predictions"]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_talks_payload_is_answered_with_its_warnings(stack: Stack, backend: str) -> None:
    content = stack.predict(TALK, backend=backend).json()
    assert content["backend"] == backend
    fields = [warning.split(":")[0] for warning in content["warnings"]]
    assert {"duration", "stress_level"} <= set(fields)


def test_the_state_of_every_backend_is_shown(stack: Stack) -> None:
    listed = requests.get(stack.url + "/v1/backends", timeout=10).json()["backends"]
    entries = {entry["name"]: entry for entry in listed}
    assert set(entries) == set(BACKENDS)
    assert {entry["state"] for entry in entries.values()} == {"ready"}
    assert entries["torchserve"]["stand_in"] is None
    real = requests.get(stack.tfserving_url + "/v1/models/weight-change", timeout=10).headers
    assert entries["tfserving"]["stand_in"] == real.get("X-Stand-In")


@pytest.mark.parametrize(("backend", "lineage"), LINEAGES)
def test_parity_within_a_lineage(
    stack: Stack, original_csv: Path, backend: str, lineage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over the 100 original rows and 2,000 generated ones."""
    rows = payloads(read_csv(original_csv)) + payloads(generate(2000, seed=20261121))
    assert len(rows) == 2100
    body = {"instances": rows}
    theirs = values(stack.predict(body, backend=backend))
    ours = values(stack.predict(body, backend="onnx", lineage=lineage))
    worst = max(abs(a - b) for a, b in zip(theirs, ours, strict=True))
    with capsys.disabled():
        print(f"\n{backend} against onnx&lineage={lineage}: at most {worst:.2e} lb apart")
    assert worst <= TOLERANCE_LB


@pytest.mark.parametrize(("backend", "lineage"), LINEAGES)
def test_a_row_alone_and_in_a_batch_is_the_same(stack: Stack, backend: str, lineage: str) -> None:
    rows = payloads(generate(20, seed=7))
    together = values(stack.predict({"instances": rows}, backend=backend))
    for payload, expected in zip(rows, together, strict=True):
        (alone,) = values(stack.predict(payload, backend=backend))
        assert alone == pytest.approx(expected, abs=TOLERANCE_LB)


BAD: dict[str, Any] = {
    "missing field": {k: v for k, v in TALK.items() if k != "bmr"},
    "text for a number": TALK | {"age": "22"},
    "true for a number": TALK | {"age": True},
    "unknown category": TALK | {"gender": "f"},
    "not finite": TALK | {"bmr": float("nan")},
    "empty instances": {"instances": []},
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_alike_by_all(stack: Stack, backend: str, name: str) -> None:
    body = json.dumps(BAD[name])
    response = requests.post(
        stack.url + "/v1/predict",
        params={"backend": backend},
        data=body,
        headers={"Content-Type": "application/json"},
        timeout=10,
    )
    assert response.status_code == 422
    assert response.json()["errors"]
    assert stack.predict(TALK, backend=backend).status_code == 200


def test_torchserve_called_directly_agrees(stack: Stack) -> None:
    """The handler preprocesses by itself: an existing client needs no gateway."""
    url = stack.torchserve_url + "/predictions/weight-change"
    direct = requests.post(url, json=TALK, timeout=10).json()["weight_change"]
    (through,) = values(stack.predict(TALK, backend="torchserve"))
    assert direct == through
    refused = requests.post(url, json=TALK | {"gender": "f"}, timeout=10)
    assert refused.status_code == 400
    assert "gender" in refused.text


@pytest.mark.parametrize("backend", ["tfserving", "torchserve"])
def test_a_backend_that_is_killed_is_named_while_the_others_answer(
    stack: Stack, backend: str
) -> None:
    """``gateway up`` starts it again, and the gateway finds it by itself."""
    url = stack.torchserve_url if backend == "torchserve" else stack.tfserving_url
    stack.listener(url).kill()
    refusals = 0
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        time.sleep(0.005)
        response = stack.predict(TALK, backend=backend)
        # The stack's deadline is 5 s; TorchServe itself gives up after 10 s.
        assert response.elapsed.total_seconds() < 9
        if response.status_code == 200 and refusals:
            break
        if response.status_code != 200:
            refusals += 1
            problem = response.json()
            assert response.status_code in (502, 503, 504)
            assert problem["backend"] == backend
        assert stack.predict(TALK, backend="onnx").status_code == 200
    assert refusals
    assert response.status_code == 200
