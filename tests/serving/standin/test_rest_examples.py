"""Classify and regress: the examples of the public documentation and of the original's tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests


def post(api: str, path: str, body: Any) -> requests.Response:
    data = body if isinstance(body, str) else json.dumps(body)
    return requests.post(f"{api}/{path}", data=data, timeout=30)


def test_documented_regress(api: str) -> None:
    body = {"signature_name": "tensorflow/serving/regress", "examples": [{"x": 1.0}, {"x": 2.0}]}
    reply = post(api, "half_plus_two:regress", body)
    assert reply.status_code == 200
    # The documentation's example is half_plus_three; this is half_plus_two.
    assert reply.text == '{\n    "results": [2.5, 3.0]\n}'


def test_classify_by_version(api: str) -> None:
    # http_rest_api_handler_test.cc, Classify: no labels, one score per example.
    body = {"signature_name": "classify_x_to_y", "examples": [{"x": 20.0}]}
    assert post(api, "half_plus_two:classify", body).json() == {"results": [[["", 12.0]]]}
    body["examples"] = [{"x": 10.0}]
    reply = post(api, "half_plus_two/versions/123:classify", body)
    assert reply.json() == {"results": [[["", 7.0]]]}


def test_classify_with_labels_and_context(api: str) -> None:
    body = {
        "context": {"name": "setosa"},
        "examples": [{"length": 2.0}, {"length": [4.0], "bias": 1}],
    }
    reply = post(api, "iris:classify", body)
    results = reply.json()["results"]
    assert [[label for label, _ in row] for row in results] == [["setosa", "other"]] * 2
    scores = [score for row in results for _, score in row]
    assert scores == pytest.approx([0.2, 0.8, 1.4, -0.4])
    assert '"results": [[["setosa", 0.2], ["other", 0.8' in reply.text


def test_bytes_and_booleans_in_examples(api: str) -> None:
    examples = [{"length": 1.0, "name": {"b64": "aGVsbG8="}, "bias": True}]
    row = post(api, "iris:classify", {"examples": examples}).json()["results"][0]
    assert row[0][0] == "hello"
    assert row[0][1] == pytest.approx(1.1)


def test_non_finite_scores(api: str) -> None:
    reply = post(api, "iris:classify", '{"examples": [{"length": NaN}]}')
    assert '[["", NaN], ["other", NaN]]' in reply.text


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("half_plus_two:regress", {"examples": [{"x": 1.0}]}, "No regression inputs found in"),
        ("several:classify", {"examples": [{"x": 1.0}]}, "Expected one input Tensor."),
        (
            "iris:classify",
            {"signature_name": "nope", "examples": [{}]},
            "No signature was found with the name: nope",
        ),
        ("iris:classify", {"examples": []}, "'examples' value is an empty array"),
        ("iris:classify", {"examples": {"a": 1}}, "Expecting 'examples' value to be an list/array"),
        ("iris:classify", {"instances": [1]}, "key 'examples' is expected and was not found"),
        ("iris:classify", {"context": [], "examples": [{}]}, "Example must be JSON object but got"),
        (
            "iris:classify",
            {"examples": [{"names": [10, None]}]},
            "Feature: names has element with unexpected JSON type: Null",
        ),
        (
            "iris:classify",
            {"examples": [{"names": [10, 10.0]}]},
            "Unexpected element type in feature: names expecting type: int64",
        ),
        (
            "iris:classify",
            {"examples": [{"names": [20, 18446744073709551603]}]},
            "Feature: names has uint64 element. Only int64 is supported.",
        ),
        ("iris:classify", {"examples": [{"x": 1.7e308}]}, "without loss of precision."),
        # The model's own parse_example speaks here: a whole number is not a float.
        ("iris:classify", {"examples": [{"length": 5}]}, "Data types don't match"),
    ],
)
def test_bad_requests(api: str, path: str, body: Any, message: str) -> None:
    reply = post(api, path, body)
    assert reply.status_code == 400
    assert message in reply.json()["error"]


def test_method_names_are_checked_when_asked(saved_models: Path, start_standin: Any) -> None:
    base = f"--model_base_path={saved_models / 'half_plus_two'}"
    server = start_standin("--model_name=m", base, "--enable_signature_method_name_check")
    api = f"{server.url}/v1/models"
    body = {"examples": [{"x": 1.0}]}
    reply = post(api, "m:classify", body)
    assert reply.status_code == 400
    assert reply.json()["error"] == (
        "Expected classification signature method_name to be tensorflow/serving/classify."
        " Was: tensorflow/serving/predict"
    )
    assert post(api, "m:classify", body | {"signature_name": "classify_x_to_y"}).status_code == 200
