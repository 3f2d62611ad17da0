"""Whether an answer is the one that was asked for."""

from __future__ import annotations

import json

import pytest

from gateway.errors import Overloaded
from loadtests.users.answers import prediction_fault, refusal_fault
from tests.loadtests.users.fake_gateway import predictions

PROBLEM = "application/problem+json"


def fault_of(status: int, content: object, rows: int = 2) -> str | None:
    return prediction_fault(status, json.dumps(content).encode(), rows, "onnx", "pytorch")


def test_a_good_prediction_has_no_fault() -> None:
    assert fault_of(200, predictions(2)) is None


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (200, predictions(1), "1 predictions for 2 rows"),
        (200, predictions(3), "3 predictions for 2 rows"),
        (200, predictions(2, "torchserve"), "answered by torchserve/pytorch, asked onnx/pytorch"),
        (200, predictions(2, "onnx", "other"), "answered by onnx/other, asked onnx/pytorch"),
        (200, {"predictions": []}, "200, but no prediction: "),
        (200, predictions(2) | {"predictions": [1, 2]}, "200, but no prediction: "),
        (503, Overloaded("onnx", "full").problem(), "503 overloaded"),
        (500, "what", "500"),
    ],
)
def test_what_is_wrong_with_a_prediction(status: int, content: object, words: str) -> None:
    fault = fault_of(status, content)
    assert fault is not None
    assert fault.startswith(words)


def test_an_answer_without_content_is_a_fault() -> None:
    assert prediction_fault(200, None, 1, "onnx", "pytorch") is not None
    assert prediction_fault(502, None, 1, "onnx", "pytorch") == "502"


def test_a_refusal_as_promised_has_no_fault() -> None:
    content = json.dumps({"status": 422, "type": "urn:x:invalid-input"}).encode()
    assert refusal_fault(422, PROBLEM, content, 422) is None
    assert refusal_fault(422, PROBLEM + "; charset=utf-8", content, 422) is None


@pytest.mark.parametrize(
    ("status", "kind", "content", "words"),
    [
        (200, "application/json", predictions(1), "200, taken as good; it must be refused"),
        (500, PROBLEM, {"status": 500, "type": "x:internal"}, "500 internal; it must be refused"),
        (400, PROBLEM, {"status": 400, "type": "x:bad"}, "400 bad; it must be refused with 422"),
        (422, "text/html", {"status": 422, "type": "x"}, "422, but text/html"),
        (422, "", {"status": 422, "type": "x"}, "422, but without a type"),
        (422, PROBLEM, [], "422, but no problem JSON"),
        (422, PROBLEM, {"status": 400, "type": "x"}, "422, but its problem says 400"),
    ],
)
def test_what_is_wrong_with_a_refusal(status: int, kind: str, content: object, words: str) -> None:
    fault = refusal_fault(status, kind, json.dumps(content).encode(), 422)
    assert fault is not None
    assert fault.startswith(words)
