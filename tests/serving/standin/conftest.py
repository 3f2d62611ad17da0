"""Small real SavedModels, and one stand-in process that serves all of them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from serving.launch.ports import free_port

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of model base paths: half_plus_two, iris, kinds, echo, several, branches."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    base = tmp_path_factory.mktemp("models")
    _half_plus_two(base / "half_plus_two" / "00000123")
    _iris(base / "iris" / "1")
    _modules(base)
    return base


def _half_plus_two(path: Path) -> None:
    """TensorFlow Serving's test model, with TensorFlow 1 and its method names: y = x / 2 + 2."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        a, b = v1.Variable(0.5, name="a"), v1.Variable(2.0, name="b")
        serialized = v1.placeholder(tf.string, [None], "tf_example")
        feature = {"x": v1.io.FixedLenFeature([1], tf.float32)}
        parsed = v1.io.parse_example(serialized, feature)["x"]
        x = tf.identity(parsed, name="x")
        y = tf.add(a * x, b, name="y")
        plain = v1.placeholder(tf.float32, None, "plain")
        half = tf.add(a * plain, b, name="half")
        session.run(v1.global_variables_initializer())
        info, build = v1.saved_model.build_tensor_info, v1.saved_model.build_signature_def
        signatures = {
            "serving_default": build(
                {"x": info(plain)}, {"y": info(half)}, "tensorflow/serving/predict"
            ),
            "tensorflow/serving/regress": build(
                {"inputs": info(serialized)}, {"outputs": info(y)}, "tensorflow/serving/regress"
            ),
            "classify_x_to_y": build(
                {"inputs": info(serialized)}, {"scores": info(y)}, "tensorflow/serving/classify"
            ),
        }
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()


def _iris(path: Path) -> None:
    """A TensorFlow 2 classifier over tf.Examples: two classes, one context feature."""
    import tensorflow as tf

    class Iris(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator]
        def classify(self, inputs: Any) -> Any:
            spec = {
                "length": tf.io.FixedLenFeature([], tf.float32),
                "bias": tf.io.FixedLenFeature([], tf.int64, 0),
                "name": tf.io.FixedLenFeature([], tf.string, ""),
            }
            parsed = tf.io.parse_example(inputs, spec)
            score = parsed["length"] / 10.0 + tf.cast(parsed["bias"], tf.float32)
            labels = tf.stack([parsed["name"], tf.fill(tf.shape(score), "other")], axis=1)
            return {"classes": labels, "scores": tf.stack([score, 1.0 - score], axis=1)}

    module = Iris()
    signatures = {"serving_default": module.classify}
    tf.saved_model.save(module, str(path), signatures=signatures)


def _modules(base: Path) -> None:
    import tensorflow as tf

    def spec(dtype: Any, *shape: int | None) -> Any:
        return tf.TensorSpec(shape, dtype)

    def save(name: str, function: Any, **inputs: Any) -> None:
        module = tf.Module()
        module.function = tf.function(function)
        named = {key: tf.TensorSpec(i.shape, i.dtype, key) for key, i in inputs.items()}
        concrete = module.function.get_concrete_function(**named)
        tf.saved_model.save(
            module, str(base / name / "1"), signatures={"serving_default": concrete}
        )

    # Several named inputs and outputs, the public documentation's tag, signal and sensor.
    def several(tag: Any, signal: Any, sensor: Any) -> Any:
        return {"tag": tag, "total": tf.reduce_sum(signal, 1), "sensor": sensor}

    save(
        "several",
        several,
        tag=spec(tf.string, None),
        signal=spec(tf.float32, None, 5),
        sensor=spec(tf.int32, None, 2, 2),
    )

    # Every type JSON can carry, one input and output each.
    kinds = {
        name: getattr(tf, name)
        for name in ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32",
                     "uint64", "bool", "string")
    }  # fmt: skip
    save(
        "kinds",
        lambda **values: {name: tf.identity(value) for name, value in values.items()},
        **{f"{name}_in": spec(dtype, None) for name, dtype in kinds.items()},
    )
    save("echo", lambda x: {"y_bytes": tf.identity(x)}, x=spec(tf.string, None))
    save("text", lambda x: {"y": tf.identity(x)}, x=spec(tf.string, None))
    save("half", lambda x: {"y": tf.cast(x, tf.float16)}, x=spec(tf.float32, None))
    save("half_input", lambda x: {"y": tf.cast(x, tf.float32)}, x=spec(tf.float16, None))
    save("constant", lambda x: {"y": tf.reduce_sum(x)}, x=spec(tf.float32, None))
    save("ragged", lambda x: {"a": x, "b": tf.concat([x, x], 0)}, x=spec(tf.float32, None))
    save("matrix", lambda x: {"y": x @ tf.ones((3, 1))}, x=spec(tf.float32, None, 3))


class Server:
    """A stand-in process that is ready."""

    def __init__(
        self, process: subprocess.Popen[bytes], log: Path, url: str, grpc_url: str | None
    ) -> None:
        self.process, self.log, self.url, self.grpc_url = process, log, url, grpc_url


def listens(url: str) -> bool:
    """Whether a connection is taken there."""
    where = urlsplit(url)
    try:
        socket.create_connection((where.hostname, where.port), timeout=1).close()
    except OSError:
        return False
    return True


def start(log: Path, *arguments: str) -> Server:
    """Start a stand-in on a free port and wait until it says where it listens."""
    command = [sys.executable, "-m", "serving.standin", "--rest_api_port=0", "--port=0", *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        match = re.search(
            r"REST API at (http://[\d.:]+\d)(?:, gRPC API at (grpc://[\d.:]+\d))?", log.read_text()
        )
        if match is not None and listens(match[1]):  # it says so a moment before
            return Server(process, log, match[1], match[2])
        time.sleep(0.1)
    process.kill()
    raise AssertionError(f"the stand-in did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def server(saved_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One stand-in with all models; a label ``stable`` on half_plus_two."""
    models = [f"--model={folder.name}={folder}" for folder in sorted(saved_models.iterdir())]
    log = tmp_path_factory.mktemp("standin") / "log"
    running = start(
        log,
        *models,
        "--version_label=half_plus_two:stable=123",
        "--max_body_mb=1",
        f"--port={free_port()}",
    )
    yield running
    running.process.terminate()
    assert running.process.wait(20) == 0, log.read_text()


@pytest.fixture(scope="session")
def api(server: Server) -> str:
    """The base URL of the models."""
    return f"{server.url}/v1/models"


@pytest.fixture
def start_standin(tmp_path: Path) -> Iterator[Any]:
    """Start further stand-ins with options of one's own; they end with the test."""
    running: list[Server] = []

    def starter(*arguments: str) -> Server:
        running.append(start(tmp_path / f"standin-{len(running)}.log", *arguments))
        return running[-1]

    yield starter
    for one in running:
        one.process.kill()
        one.process.wait(10)
