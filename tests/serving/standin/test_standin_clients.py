"""A client nobody here wrote: OpenVINO's ``ovmsclient`` over REST, and its reading of replies."""

from __future__ import annotations

from typing import Any

import numpy as np
import ovmsclient
import pytest


@pytest.fixture(scope="module")
def client(server: Any) -> Any:
    return ovmsclient.make_http_client(server.url.removeprefix("http://"))


def test_predict(client: Any) -> None:
    inputs = {"x": np.array([1.0, 2.0, 5.0], np.float32)}
    outputs = client.predict(inputs, "half_plus_two", model_version=123)
    np.testing.assert_array_equal(outputs, [2.5, 3.0, 4.5])


def test_predict_several(client: Any) -> None:
    inputs = {
        "tag": ["foo", "bar"],
        "signal": np.ones((2, 5), np.float32),
        "sensor": np.arange(8, dtype=np.int32).reshape(2, 2, 2),
    }
    outputs = client.predict(inputs, "several", model_version=1)
    np.testing.assert_array_equal(outputs["total"], [5.0, 5.0])
    np.testing.assert_array_equal(outputs["sensor"], inputs["sensor"])
    assert outputs["tag"].tolist() == ["foo", "bar"]


def test_bytes(client: Any) -> None:
    outputs = client.predict({"x": np.array([b"\xff\xfe", b"ok"])}, "echo", model_version=1)
    assert outputs.tolist() == [{"b64": "//4="}, {"b64": "b2s="}]


def test_status(client: Any) -> None:
    status = client.get_model_status("half_plus_two", model_version=123)
    assert status == {123: {"state": "AVAILABLE", "error_code": 0, "error_message": ""}}


def test_metadata(client: Any) -> None:
    document = client.get_model_metadata("half_plus_two", model_version=123)
    assert document["model_spec"]["version"] == "123"


def test_errors_are_understood(client: Any) -> None:
    errors = ovmsclient.tfs_compat.base.errors
    with pytest.raises(errors.ModelNotFoundError, match="Servable not found"):
        client.predict({"x": [1.0]}, "half_plus_two", model_version=7)
    with pytest.raises(errors.InvalidInputError, match="Missing named input: x"):
        client.predict({"z": [1.0]}, "half_plus_two", model_version=123)
