"""The stand-in's gRPC services, asked with TensorFlow Serving's own stubs and messages."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
import requests
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tests.conftest import ROOT

Code = grpc.StatusCode
KINDS = ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64",
         "bool")  # fmt: skip


@pytest.fixture(scope="module")
def channel(server: Any) -> Any:
    with grpc.insecure_channel(server.grpc_url.removeprefix("grpc://")) as opened:
        yield opened


@pytest.fixture(scope="module")
def predictions(channel: Any) -> Any:
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models(channel: Any) -> Any:
    return model_service_pb2_grpc.ModelServiceStub(channel)


def request(model: str, **inputs: Any) -> Any:
    made = predict_pb2.PredictRequest()
    made.model_spec.name = model
    for name, values in inputs.items():
        made.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    return made


def refused(method: Any, message: Any) -> tuple[Any, str]:
    with pytest.raises(grpc.RpcError) as caught:
        method(message, timeout=10)
    assert dict(caught.value.trailing_metadata())["x-stand-in"] == "tensorflow-serving"
    return caught.value.code(), caught.value.details()


def test_predict(predictions: Any) -> None:
    message = request("half_plus_two", x=np.array([1.0, 2.0, 5.0], np.float32))
    reply, call = predictions.Predict.with_call(message, timeout=10)
    # Value by value, as the original answers.
    assert list(reply.outputs["y"].float_val) == [2.5, 3.0, 4.5]
    assert not reply.outputs["y"].tensor_content
    spec = reply.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == (
        "half_plus_two", 123, "serving_default",
    )  # fmt: skip
    assert dict(call.trailing_metadata())["x-stand-in"] == "tensorflow-serving"


def test_every_type_comes_back_as_it_was(predictions: Any) -> None:
    sent = {f"{name}_in": np.array([0, 1, 100]).astype(name) for name in KINDS}
    sent["string_in"] = np.array([b"\xff\x00", b"", "é".encode()], object)
    reply = predictions.Predict(request("kinds", **sent), timeout=10)
    assert set(reply.outputs) == set(sent)
    for name, values in sent.items():
        array = tf.make_ndarray(reply.outputs[name])
        assert array.dtype == values.dtype
        assert array.tolist() == values.tolist()


def test_half_floats(predictions: Any) -> None:
    reply = predictions.Predict(request("half", x=np.array([0.5, -2.0], np.float32)), timeout=10)
    assert reply.outputs["y"].dtype == types_pb2.DT_HALF
    assert tf.make_ndarray(reply.outputs["y"]).tolist() == [0.5, -2.0]


def test_values_that_are_missing_repeat_the_last(predictions: Any) -> None:
    message = request("half_plus_two")
    tensor = message.inputs["x"]
    tensor.dtype = types_pb2.DT_FLOAT
    tensor.tensor_shape.dim.add(size=3)
    tensor.float_val.extend([2.0, 4.0])
    reply = predictions.Predict(message, timeout=10)
    assert list(reply.outputs["y"].float_val) == [3.0, 4.0, 4.0]


def test_output_filter(predictions: Any) -> None:
    inputs: dict[str, Any] = {
        "tag": np.array([b"a"], object),
        "signal": np.ones((1, 5), np.float32),
        "sensor": np.zeros((1, 2, 2), np.int32),
    }
    message = request("several", **inputs)
    message.output_filter.extend(["total"])
    assert list(predictions.Predict(message, timeout=10).outputs) == ["total"]
    message.output_filter.append("total")
    assert refused(predictions.Predict, message) == (
        Code.INVALID_ARGUMENT, "duplicate output tensor alias: total",
    )  # fmt: skip
    message.output_filter[1] = "x"
    code, words = refused(predictions.Predict, message)
    assert code == Code.INVALID_ARGUMENT
    assert "alias not found in signature: x" in words
    assert "{sensor,tag,total}" in words


def test_errors_of_the_model_spec(predictions: Any) -> None:
    message = predict_pb2.PredictRequest()
    assert refused(predictions.Predict, message) == (Code.INVALID_ARGUMENT, "Missing ModelSpec")
    message.model_spec.signature_name = "x"
    assert refused(predictions.Predict, message) == (
        Code.INVALID_ARGUMENT, "ModelSpec has no name specified.",
    )  # fmt: skip
    message.model_spec.name = "nobody"
    assert refused(predictions.Predict, message) == (
        Code.NOT_FOUND, "Servable not found for request: Latest(nobody)",
    )  # fmt: skip
    message.model_spec.name = "half_plus_two"
    assert refused(predictions.Predict, message) == (
        Code.FAILED_PRECONDITION, 'Serving signature key "x" not found.',
    )  # fmt: skip
    # A version that is given counts, also where it is 0.
    message.model_spec.version.value = 0
    assert refused(predictions.Predict, message) == (
        Code.NOT_FOUND, "Servable not found for request: Specific(half_plus_two, 0)",
    )  # fmt: skip
    message.model_spec.version_label = "unheard"
    assert refused(predictions.Predict, message) == (
        Code.INVALID_ARGUMENT, "Unrecognized servable version label: unheard",
    )  # fmt: skip


def test_a_label_names_a_version(predictions: Any) -> None:
    message = request("half_plus_two", x=np.array([1.0], np.float32))
    message.model_spec.version_label = "stable"
    assert predictions.Predict(message, timeout=10).model_spec.version.value == 123


def test_errors_of_the_inputs(predictions: Any) -> None:
    code, words = refused(predictions.Predict, request("half_plus_two"))
    assert code == Code.INVALID_ARGUMENT
    assert words == (
        "input size does not match signature: 0!=1 len({}) != len({x})."
        " Sent extra: {}. Missing but required: {x}."
    )
    code, words = refused(predictions.Predict, request("half_plus_two", z=np.ones(1, np.float32)))
    assert code == Code.INVALID_ARGUMENT
    assert words.startswith("Signature input alias: x(feed name: plain:0) not found in request")
    code, words = refused(predictions.Predict, request("matrix", x=np.ones((2, 4), np.float32)))
    assert code == Code.INVALID_ARGUMENT
    assert "Matrix size-incompatible" in words
    code, words = refused(predictions.Predict, request("matrix", x=np.ones((2, 3))))
    assert code == Code.INVALID_ARGUMENT
    assert "float" in words
    assert "double" in words
    message = request("matrix", x=np.ones((2, 3), np.float32))
    message.inputs["x"].tensor_content += b"\0"
    assert refused(predictions.Predict, message) == (
        Code.INVALID_ARGUMENT, "tensor parsing error: x",
    )  # fmt: skip


def example(**features: Any) -> Any:
    made = tf.train.Example()
    for name, value in features.items():
        kind = {int: "int64_list", float: "float_list", bytes: "bytes_list"}[type(value)]
        getattr(made.features.feature[name], kind).value.append(value)
    return made


def test_classify(predictions: Any) -> None:
    message = classification_pb2.ClassificationRequest()
    message.model_spec.name = "iris"
    assert refused(predictions.Classify, message) == (Code.INVALID_ARGUMENT, "Input is empty.")
    listed = message.input.example_list_with_context
    listed.context.CopyFrom(example(bias=1))
    listed.examples.append(example(length=5.0, name=b"setosa"))
    listed.examples.append(example(length=1.0, name=b"virginica"))
    reply = predictions.Classify(message, timeout=10)
    classes = [one.classes for one in reply.result.classifications]
    assert [[one.label for one in row] for row in classes] == [
        ["setosa", "other"], ["virginica", "other"],
    ]  # fmt: skip
    assert [row[0].score for row in classes] == pytest.approx([1.5, 1.1])
    assert reply.model_spec.version.value == 1


def test_regress(predictions: Any) -> None:
    message = regression_pb2.RegressionRequest()
    message.model_spec.name = "half_plus_two"
    message.model_spec.signature_name = "tensorflow/serving/regress"
    message.input.example_list.examples.extend([example(x=1.0), example(x=5.0)])
    reply = predictions.Regress(message, timeout=10)
    assert [one.value for one in reply.result.regressions] == [2.5, 4.5]
    message.model_spec.signature_name = "x"
    assert refused(predictions.Regress, message) == (
        Code.INVALID_ARGUMENT, "No signature was found with the name: x",
    )  # fmt: skip


def test_metadata(predictions: Any) -> None:
    message = get_model_metadata_pb2.GetModelMetadataRequest()
    message.model_spec.name = "several"
    assert refused(predictions.GetModelMetadata, message) == (
        Code.INVALID_ARGUMENT, "GetModelMetadataRequest must specify at least one metadata_field",
    )  # fmt: skip
    message.metadata_field.append("signature_def")
    reply = predictions.GetModelMetadata(message, timeout=10)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert reply.metadata["signature_def"].Unpack(signatures)
    definition = signatures.signature_def["serving_default"]
    types = {name: info.dtype for name, info in definition.inputs.items()}
    assert types == {
        "tag": types_pb2.DT_STRING, "signal": types_pb2.DT_FLOAT, "sensor": types_pb2.DT_INT32,
    }  # fmt: skip
    assert (reply.model_spec.name, reply.model_spec.version.value) == ("several", 1)
    message.metadata_field.append("assets")
    assert refused(predictions.GetModelMetadata, message)[0] == Code.INVALID_ARGUMENT


def test_status(models: Any) -> None:
    message = get_model_status_pb2.GetModelStatusRequest()
    assert refused(models.GetModelStatus, message) == (Code.INVALID_ARGUMENT, "Missing ModelSpec")
    message.model_spec.name = "half_plus_two"
    (one,) = models.GetModelStatus(message, timeout=10).model_version_status
    assert (one.version, one.state) == (123, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    assert (one.status.error_code, one.status.error_message) == (0, "")
    message.model_spec.version.value = 7
    assert refused(models.GetModelStatus, message) == (
        Code.NOT_FOUND, "Could not find version 7 of model half_plus_two",
    )  # fmt: skip


def test_what_it_does_not_do_it_says(predictions: Any) -> None:
    code, words = refused(predictions.MultiInference, inference_pb2.MultiInferenceRequest())
    assert code == Code.UNIMPLEMENTED
    assert "stand-in" in words


def test_a_message_over_the_limit(predictions: Any) -> None:
    message = request("matrix", x=np.ones((2**17, 3), np.float32))  # 1.5 MiB of the 1 allowed
    with pytest.raises(grpc.RpcError) as caught:
        predictions.Predict(message, timeout=10)
    assert caught.value.code() == Code.RESOURCE_EXHAUSTED


def test_the_log_says_what_it_is(server: Any) -> None:
    (line,) = [line for line in server.log.read_text().splitlines() if "gRPC API at" in line]
    assert "stand-in" in line
    assert "not TensorFlow Serving" in line


def test_a_taken_port_is_told_at_once(saved_models: Any, server: Any) -> None:
    taken = server.grpc_url.rpartition(":")[2]
    command = [sys.executable, "-m", "serving.standin", "--rest_api_port=0", f"--port={taken}"]
    ended = subprocess.run(
        [*command, f"--model=m={saved_models / 'half'}"],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "Address already in use" in ended.stderr


def test_port_0_leaves_grpc_out(saved_models: Any, start_standin: Any) -> None:
    running = start_standin(f"--model=m={saved_models / 'half'}")
    assert running.grpc_url is None
    assert requests.get(f"{running.url}/v1/models/m", timeout=30).status_code == 200
    connections = psutil.Process(running.process.pid).net_connections("tcp")
    assert len([one for one in connections if one.status == psutil.CONN_LISTEN]) == 1
