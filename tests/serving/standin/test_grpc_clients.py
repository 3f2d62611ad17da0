"""A client nobody here wrote: OpenVINO's ``ovmsclient`` over gRPC, with messages of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import ovmsclient
import pytest

errors = ovmsclient.tfs_compat.base.errors


@pytest.fixture(scope="module")
def client(server: Any) -> Any:
    return ovmsclient.make_grpc_client(server.grpc_url.removeprefix("grpc://"))


def test_predict(client: Any) -> None:
    inputs = {"x": np.array([1.0, 2.0, 5.0], np.float32)}
    outputs = client.predict(inputs, "half_plus_two", model_version=123)
    np.testing.assert_array_equal(outputs, [2.5, 3.0, 4.5])


def test_predict_several(client: Any) -> None:
    inputs = {
        "tag": np.array(["foo", "bar"]),
        "signal": np.ones((2, 5), np.float32),
        "sensor": np.arange(8, dtype=np.int32).reshape(2, 2, 2),
    }
    outputs = client.predict(inputs, "several", model_version=1)
    np.testing.assert_array_equal(outputs["total"], [5.0, 5.0])
    np.testing.assert_array_equal(outputs["sensor"], inputs["sensor"])
    assert outputs["tag"].tolist() == [b"foo", b"bar"]


def test_bytes(client: Any) -> None:
    outputs = client.predict({"x": np.array([b"\xff\xfe", b"ok"])}, "echo", model_version=1)
    assert outputs.tolist() == [b"\xff\xfe", b"ok"]


def test_status(client: Any) -> None:
    status = client.get_model_status("half_plus_two", model_version=123)
    assert status == {123: {"state": "AVAILABLE", "error_code": 0, "error_message": ""}}


def test_metadata(client: Any) -> None:
    document = client.get_model_metadata("several", model_version=1)
    assert document["model_version"] == 1
    assert document["inputs"] == {
        "tag": {"shape": [-1], "dtype": "DT_STRING"},
        "signal": {"shape": [-1, 5], "dtype": "DT_FLOAT"},
        "sensor": {"shape": [-1, 2, 2], "dtype": "DT_INT32"},
    }
    assert document["outputs"]["total"] == {"shape": [-1], "dtype": "DT_FLOAT"}


def test_errors_are_understood(client: Any) -> None:
    with pytest.raises(errors.ModelNotFoundError, match="Servable not found"):
        client.predict({"x": [1.0]}, "half_plus_two", model_version=7)
    with pytest.raises(errors.ModelNotFoundError, match="Could not find version 1 of"):
        client.get_model_status("nobody", model_version=1)
    with pytest.raises(errors.InvalidInputError, match="Signature input alias: x"):
        client.predict({"z": [1.0]}, "half_plus_two", model_version=123)


def test_version_0_is_no_default(client: Any) -> None:
    """OpenVINO Model Server takes 0 for the newest; TensorFlow Serving, and so this, does not."""
    with pytest.raises(errors.ModelNotFoundError, match=r"Specific\(half_plus_two, 0\)"):
        client.predict({"x": [1.0]}, "half_plus_two")
