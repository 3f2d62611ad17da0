"""Model status and metadata, paths that are not in the interface, new versions."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import requests

AVAILABLE = """{
 "model_version_status": [
  {
   "version": "123",
   "state": "AVAILABLE",
   "status": {
    "error_code": "OK",
    "error_message": ""
   }
  }
 ]
}
"""


@pytest.mark.parametrize("path", ["", "/versions/123", "/labels/stable"])
def test_documented_status(api: str, path: str) -> None:
    reply = requests.get(f"{api}/half_plus_two{path}", timeout=30)
    assert reply.status_code == 200
    assert reply.text == AVAILABLE


def test_documented_metadata(api: str) -> None:
    reply = requests.get(f"{api}/half_plus_two/metadata", timeout=30)
    assert reply.status_code == 200
    assert reply.text.startswith('{\n"model_spec":{\n "name": "half_plus_two",\n')
    document = reply.json()
    assert document["model_spec"] == {
        "name": "half_plus_two",
        "signature_name": "",
        "version": "123",
    }
    signatures = document["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) == {"serving_default", "tensorflow/serving/regress", "classify_x_to_y"}
    regress = signatures["tensorflow/serving/regress"]
    assert regress["method_name"] == "tensorflow/serving/regress"
    assert regress["inputs"]["inputs"] == {
        "dtype": "DT_STRING",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        "name": "tf_example:0",
    }
    shape = signatures["serving_default"]["inputs"]["x"]["tensor_shape"]
    assert shape == {"dim": [], "unknown_rank": True}


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/v1/models/nope", 404, "Could not find any versions of model nope"),
        (
            "GET",
            "/v1/models/half_plus_two/versions/7",
            404,
            "Could not find version 7 of model half_plus_two",
        ),
        ("GET", "/v1/models/nope/metadata", 404, "Servable not found for request: Latest(nope)"),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/foo", 400, "Malformed request: GET /v1/foo"),
        ("POST", "/v1/models", 400, "Malformed request: POST /v1/models"),
        ("POST", "/v1/models/half_plus_two", 400, "Malformed request: POST /v1/models/half_plus_t"),
        ("GET", "/v1/models/m:predict", 400, "Malformed request: GET /v1/models/m:predict"),
        ("POST", "/v1/models/m/version/5:predict", 400, "Malformed request: POST /v1/models/m/v"),
        ("POST", "/v1/models/m/versions/x:predict", 400, "Malformed request: POST /v1/models/m/v"),
        ("PUT", "/v1/models/half_plus_two:predict", 400, "Malformed request: PUT /v1/models/half"),
        (
            "POST",
            "/v1/models/m/versions/18446744073709551615:predict",
            400,
            "Failed to convert version: 18446744073709551615 to numeric.",
        ),
    ],
)
def test_errors(server: Any, method: str, path: str, status: int, message: str) -> None:
    reply = requests.request(method, server.url + path, data="{}", timeout=30)
    assert reply.status_code == status
    assert reply.json()["error"].startswith(message)


def test_paths_ignore_case_and_escapes(server: Any) -> None:
    assert requests.get(f"{server.url}/V1/Models/half_plus_two", timeout=30).status_code == 200
    assert requests.get(f"{server.url}/v1/models/half%5Fplus_two", timeout=30).text == AVAILABLE


def test_other_paths_are_not_json(server: Any) -> None:
    reply = requests.get(f"{server.url}/statuspage", timeout=30)
    assert reply.status_code == 404
    assert reply.headers["Content-Type"].startswith("text/html")


def states(url: str) -> dict[str, str]:
    document = requests.get(f"{url}/v1/models/m", timeout=30).json()
    return {one["version"]: one["state"] for one in document.get("model_version_status", [])}


def wait_for(url: str, expected: dict[str, str]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and states(url) != expected:
        time.sleep(0.1)
    assert states(url) == expected


def test_a_new_version_takes_over(saved_models: Path, start_standin: Any, tmp_path: Path) -> None:
    base = tmp_path / "m"
    shutil.copytree(saved_models / "constant" / "1", base / "1")
    poll = "--file_system_poll_wait_seconds=0.2"
    server = start_standin("--model_name=m", f"--model_base_path={base}", poll)
    wait_for(server.url, {"1": "AVAILABLE"})

    # A folder without a SavedModel fails to load, and the old version goes on being served.
    (base / "2").mkdir()
    wait_for(server.url, {"1": "AVAILABLE", "2": "END"})
    newest = requests.get(f"{server.url}/v1/models/m/versions/2", timeout=30).json()
    assert newest["model_version_status"][0]["status"]["error_code"] == "NOT_FOUND"
    body = '{"inputs": [1, 2]}'
    predict = f"{server.url}/v1/models/m:predict"
    assert requests.post(predict, data=body, timeout=30).json() == {"outputs": 3.0}

    shutil.copytree(saved_models / "half_plus_two" / "00000123", base / "2", dirs_exist_ok=True)
    wait_for(server.url, {"1": "END", "2": "AVAILABLE"})
    assert requests.post(predict, data=body, timeout=30).json() == {"outputs": [2.5, 3.0]}
    old = requests.post(f"{server.url}/v1/models/m/versions/1:predict", data=body, timeout=30)
    assert old.status_code == 404


def test_all_versions_on_demand(saved_models: Path, start_standin: Any, tmp_path: Path) -> None:
    base = tmp_path / "m"
    shutil.copytree(saved_models / "constant" / "1", base / "1")
    shutil.copytree(saved_models / "half_plus_two" / "00000123", base / "2")
    server = start_standin(f"--model=m={base}", "--version_policy=all")
    assert states(server.url) == {"1": "AVAILABLE", "2": "AVAILABLE"}
    for version, outputs in (("1", 3.0), ("2", [2.5, 3.0])):
        url = f"{server.url}/v1/models/m/versions/{version}:predict"
        assert (
            requests.post(url, data='{"inputs": [1, 2]}', timeout=30).json()["outputs"] == outputs
        )


def test_a_slow_run_is_cut(saved_models: Path, start_standin: Any, tmp_path: Path) -> None:
    import tensorflow as tf

    def endless(x: Any) -> Any:
        return {"y": tf.while_loop(lambda v: tf.reduce_all(v < 1e30), lambda v: [v + 0.0], [x])[0]}

    module = tf.Module()
    module.function = tf.function(endless, input_signature=[tf.TensorSpec([None], name="x")])
    folder = tmp_path / "m" / "1"
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.function})
    server = start_standin(f"--model=m={folder.parent}", "--rest_api_timeout_in_ms=300")
    predict = f"{server.url}/v1/models/m:predict"
    reply = requests.post(predict, data='{"instances": [1.0]}', timeout=30)
    assert reply.status_code == 504
    assert reply.json()["error"]
