"""TensorFlow Serving over gRPC: against the real stand-in, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc.aio
import msgspec
import numpy as np
import pytest
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from gateway.backends import (
    ADAPTERS,
    Backend,
    Call,
    Target,
    TFServingBackend,
    TFServingGrpcBackend,
)
from gateway.backends.tfserving_apis import load_apis
from gateway.config import Settings
from gateway.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ConfigError,
    ModelError,
)
from gateway.models.manifest import Manifest
from gateway.models.repository import ModelVersion, Repository
from gateway.models.rows import Rows
from serving.dataset import Dataset
from serving.launch.ports import free_port
from serving.weight_change.data import generate
from tests.conftest import REPOSITORY, ROOT, TALK, MakeClient
from tests.serving.standin.conftest import Server, start

STAND_IN = "tensorflow-serving"

IMAGE: dict[str, Any] = {
    "name": "pixels",
    "features": [{"name": "image", "type": "tensor", "shape": [3, 224, 224]}],
    "outputs": [{"name": "mean", "shape": [3]}],
    "backends": {"tfserving": {"lineages": {"tensorflow": {"model": "pixels"}}}},
}
#: The signature takes float32, int32, bool and string, other types than the columns have.
PLAIN: dict[str, Any] = {
    "name": "plain",
    "features": [
        {"name": "count", "type": "integer"},
        {"name": "size", "type": "number"},
        {"name": "big", "type": "boolean"},
        {"name": "name", "type": "string"},
    ],
    "outputs": [{"name": "total"}, {"name": "greeting"}],
    "backends": {"tfserving": {"lineages": {"tensorflow": {"model": "plain"}}}},
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of model base paths: pixels, plain and the example, weight-change."""
    import tensorflow as tf

    base = tmp_path_factory.mktemp("models")

    def save(folder: str, function: Any, **inputs: Any) -> None:
        module = tf.Module()
        module.function = tf.function(function)
        named = {key: tf.TensorSpec(i.shape, i.dtype, key) for key, i in inputs.items()}
        concrete = module.function.get_concrete_function(**named)
        signatures = {"serving_default": concrete}
        tf.saved_model.save(module, str(base / folder / "1"), signatures=signatures)

    save(
        "pixels",
        lambda image: {"mean": tf.reduce_mean(image, [2, 3])},
        image=tf.TensorSpec([None, 3, 224, 224], tf.float32),
    )

    def plain(count: Any, size: Any, big: Any, name: Any) -> Any:
        total = tf.cast(count, tf.float32) + size + 100.0 * tf.cast(big, tf.float32)
        return {"total": total, "greeting": tf.strings.join(["héllo ", name])}

    save(
        "plain",
        plain,
        count=tf.TensorSpec([None], tf.int32),
        size=tf.TensorSpec([None], tf.float32),
        big=tf.TensorSpec([None], tf.bool),
        name=tf.TensorSpec([None], tf.string),
    )
    (base / "weight-change").mkdir()
    (base / "weight-change" / "1").symlink_to(REPOSITORY / "weight-change" / "1" / "saved_model")
    return base


@pytest.fixture(scope="module")
def server(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real stand-in process with all of them."""
    running = start(
        tmp_path_factory.mktemp("log") / "log",
        *(f"--model={folder.name}={folder}" for folder in sorted(saved.iterdir())),
        f"--port={free_port()}",
    )
    yield running
    running.process.send_signal(signal.SIGCONT)
    running.process.terminate()
    assert running.process.wait(20) == 0, running.log.read_text()


@pytest.fixture
async def backends(server: Server) -> AsyncIterator[tuple[Backend, Backend]]:
    """The same server over REST and over gRPC."""
    assert server.grpc_url is not None
    both = TFServingBackend(server.url), TFServingGrpcBackend(server.grpc_url)
    yield both
    for backend in both:
        await backend.close()


@pytest.fixture
def over_grpc(backends: tuple[Backend, Backend]) -> Backend:
    return backends[1]


def weight_change() -> ModelVersion:
    return Repository.scan(REPOSITORY).get("weight-change")


def described_by(manifest: dict[str, Any], folder: Path) -> ModelVersion:
    return Repository().add(msgspec.convert(manifest, Manifest), "1", folder)


def target(described: ModelVersion, **options: Any) -> Target:
    known = described.manifest.backends["tfserving"].lineages["tensorflow"]
    return Target("tfserving", described, "tensorflow", known | options)


def rows_of(data: Dataset, model: ModelVersion) -> Rows:
    columns = [column.tolist() for column in data.columns.values()]
    objects = [dict(zip(data.columns, row, strict=True)) for row in zip(*columns, strict=True)]
    return model.validator.convert(objects)


async def ask(backend: Backend, where: Target, rows: Rows, seconds: float = 10) -> Any:
    await backend.load(where)
    return await backend.predict(where, rows, Call.within(seconds))


@pytest.mark.parametrize("count", [1, 1024])
async def test_both_protocols_answer_the_same(
    backends: tuple[Backend, Backend], count: int
) -> None:
    model = weight_change()
    rows = rows_of(generate(count, seed=11), model)
    rest, ours = [await ask(backend, target(model), rows) for backend in backends]
    assert ours["weight_change"].shape == (count,)
    assert len(set(ours["weight_change"].tolist())) > count // 2
    np.testing.assert_array_equal(ours["weight_change"], rest["weight_change"].astype(np.float32))


async def test_a_signature_with_one_input_needs_no_name_for_it(over_grpc: Backend) -> None:
    model = weight_change()
    rows = rows_of(generate(3, seed=11), model)
    named = await ask(over_grpc, target(model), rows)
    unnamed = await ask(over_grpc, target(model, input=None), rows)
    assert unnamed["weight_change"].tolist() == named["weight_change"].tolist()


async def test_an_image(backends: tuple[Backend, Backend], tmp_path: Path) -> None:
    model = described_by(IMAGE, tmp_path)
    image = np.random.default_rng(3).random((1, 3, 224, 224), dtype=np.float32)
    rows = Rows({"image": image}, 1)
    rest, ours = [await ask(backend, target(model), rows) for backend in backends]
    assert ours["mean"].shape == (1, 3)
    np.testing.assert_allclose(ours["mean"], image.mean(axis=(2, 3)), rtol=1e-4)
    np.testing.assert_array_equal(ours["mean"], rest["mean"].astype(np.float32))


async def test_text_and_types_the_columns_do_not_have(
    backends: tuple[Backend, Backend], tmp_path: Path
) -> None:
    model = described_by(PLAIN, tmp_path)
    objects = [
        {"count": i, "size": 0.5, "big": i % 2 == 0, "name": ["", "wörld", "日本"][i % 3]}
        for i in range(50)
    ]
    rows = model.validator.convert(objects)
    rest, ours = [await ask(backend, target(model), rows) for backend in backends]
    assert ours["total"].tolist() == [i + 0.5 + 100 * (i % 2 == 0) for i in range(50)]
    assert ours["greeting"].tolist() == [f"héllo {one['name']}" for one in objects]
    for name in ("total", "greeting"):
        assert ours[name].tolist() == rest[name].tolist()


async def test_a_batch_of_no_rows(over_grpc: Backend, tmp_path: Path) -> None:
    model = described_by(IMAGE, tmp_path)
    rows = Rows({"image": np.empty((0, 3, 224, 224), np.float32)}, 0)
    assert (await ask(over_grpc, target(model), rows))["mean"].shape == (0, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "nobody"}, r"NOT_FOUND: Servable not found for request: Specific\(nobody, 1\)"),
        ({"version": "7"}, r"NOT_FOUND: Servable not found for request: Specific\(pixels, 7\)"),
        ({"signature": "other"}, "no signature 'other'; there is: .*serving_default"),
    ],
)
async def test_what_the_server_does_not_have(
    over_grpc: Backend, tmp_path: Path, options: dict[str, str], words: str
) -> None:
    where = target(described_by(IMAGE, tmp_path), **options)
    rows = Rows({"image": np.zeros((1, 3, 224, 224), np.float32)}, 1)
    with pytest.raises(BackendError, match=words) as caught:
        await ask(over_grpc, where, rows)
    assert caught.value.status == 502


async def test_what_the_signature_does_not_take(over_grpc: Backend, tmp_path: Path) -> None:
    where = target(described_by(IMAGE, tmp_path))
    with pytest.raises(BackendError, match="INVALID_ARGUMENT") as caught:
        await ask(over_grpc, where, Rows({"image": np.zeros((1, 5), np.float32)}, 1))
    assert caught.value.status == 502
    with pytest.raises(BackendError, match=r"Missing but required: \{image\}"):
        await ask(over_grpc, where, Rows({"other": np.zeros((1, 3, 224, 224), np.float32)}, 1))
    # Nothing of it sticks.
    good = Rows({"image": np.ones((1, 3, 224, 224), np.float32)}, 1)
    assert (await ask(over_grpc, where, good))["mean"].tolist() == [[1.0, 1.0, 1.0]]


async def test_an_integer_that_does_not_fit_is_refused_not_wrapped(
    over_grpc: Backend, tmp_path: Path
) -> None:
    model = described_by(PLAIN, tmp_path)
    rows = model.validator.convert([{"count": 2**31, "size": 0.5, "big": False, "name": ""}])
    with pytest.raises(BackendError, match="INVALID_ARGUMENT"):
        await ask(over_grpc, target(model), rows)


@pytest.mark.parametrize("version", ["same", "latest", "1"])
async def test_health(over_grpc: Backend, tmp_path: Path, version: str) -> None:
    where = target(described_by(IMAGE, tmp_path), version=version)
    await over_grpc.load(where)
    health = await over_grpc.check(where, Call.within(5))
    assert (health.ready, health.detail, health.stand_in) == (True, "", STAND_IN)
    await over_grpc.unload(where)


async def test_health_of_what_is_not_there(over_grpc: Backend, tmp_path: Path) -> None:
    where = target(described_by(IMAGE, tmp_path), version="7")
    await over_grpc.load(where)
    health = await over_grpc.check(where, Call.within(5))
    assert not health.ready
    assert "Could not find version 7 of model pixels" in health.detail
    assert health.stand_in == STAND_IN


async def test_through_the_gateway(server: Server, make_client: MakeClient) -> None:
    client = await make_client(REPOSITORY, tfserving_url=server.grpc_url)
    answers = {}
    for query in ("backend=tfserving", "backend=onnx&lineage=tensorflow"):
        async with client.post(f"/v1/predict?{query}", json=TALK) as response:
            assert response.status == 200, await response.text()
            answers[query] = (await response.json())["predictions"][0]["weight_change"]
    first, second = answers.values()
    assert first == pytest.approx(second, abs=1e-4)
    async with client.get("/v1/backends") as response:
        entries = {entry["name"]: entry for entry in (await response.json())["backends"]}
    assert entries["tfserving"]["stand_in"] == STAND_IN
    assert entries["tfserving"]["url"] == server.grpc_url


async def test_a_frozen_server_costs_the_deadline(
    server: Server, over_grpc: Backend, tmp_path: Path
) -> None:
    where = target(described_by(IMAGE, tmp_path))
    rows = Rows({"image": np.ones((1, 3, 224, 224), np.float32)}, 1)
    await ask(over_grpc, where, rows)
    server.process.send_signal(signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(BackendTimeout):
            await over_grpc.predict(where, rows, Call.within(0.3))
        health = await over_grpc.check(where, Call.within(0.3))
        assert time.monotonic() - started < 8
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert not health.ready
    assert (await over_grpc.predict(where, rows, Call.within(10)))["mean"].shape == (1, 3)


async def test_nobody_listens(tmp_path: Path) -> None:
    backend = TFServingGrpcBackend(f"grpc://127.0.0.1:{free_port()}")
    where = target(described_by(PLAIN, tmp_path))
    started = time.monotonic()
    with pytest.raises(BackendUnavailable, match="UNAVAILABLE"):
        await ask(backend, where, Rows({}, 1), seconds=15)
    health = await backend.check(where, Call.within(15))
    assert time.monotonic() - started < 10
    assert not health.ready
    assert health.stand_in is None
    await backend.close()


async def test_a_server_that_accepts_and_says_nothing(tmp_path: Path) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    where = target(described_by(PLAIN, tmp_path))
    async with listener:
        backend = TFServingGrpcBackend(f"grpc://127.0.0.1:{port}", connect_timeout=0.5)
        started = time.monotonic()
        with pytest.raises(BackendTimeout):
            await ask(backend, where, Rows({}, 1), seconds=0.2)
        with pytest.raises(BackendUnavailable):
            await ask(backend, where, Rows({}, 1), seconds=15)
        assert time.monotonic() - started < 10
        await backend.close()


# Servers of a few lines, for what the stand-in never does.

Answer = Callable[[Any, Any], Awaitable[Any]]
Serve = Callable[..., Awaitable[str]]


async def metadata(request: Any, context: Any) -> Any:
    """The model ``double``: signature serving_default, one float32 input ``x``."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    signatures.signature_def["serving_default"].inputs["x"].dtype = 1
    reply = get_model_metadata_pb2.GetModelMetadataResponse()
    reply.metadata["signature_def"].Pack(signatures)
    return reply


async def double(request: Any, context: Any) -> Any:
    values = np.frombuffer(request.inputs["x"].tensor_content, "<f4") * 2
    reply = predict_pb2.PredictResponse()
    reply.outputs["y"].dtype = 1
    reply.outputs["y"].tensor_shape.dim.add(size=len(values))
    reply.outputs["y"].float_val.extend(values.tolist())
    return reply


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server of given answers on a port; gives its address."""
    running: list[Any] = []

    async def starter(port: int = 0, **answers: Answer) -> str:
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        known = {"GetModelMetadata": metadata, "Predict": double, **answers}
        messages = {
            "GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
            "Predict": predict_pb2.PredictRequest,
            "GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
        }
        for service in ("PredictionService", "ModelService"):
            methods = {
                name: grpc.unary_unary_rpc_method_handler(
                    answer, messages[name].FromString, lambda reply: reply.SerializeToString()
                )
                for name, answer in known.items()
            }
            handler = grpc.method_handlers_generic_handler(f"tensorflow.serving.{service}", methods)
            server.add_generic_rpc_handlers((handler,))
        port = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        running.append(server)
        return f"grpc://127.0.0.1:{port}"

    starter.running = running  # type: ignore[attr-defined]
    yield starter
    for server in running:
        await server.stop(0)


DOUBLE: dict[str, Any] = {
    "name": "double",
    "features": [{"name": "x", "type": "number"}],
    "outputs": [{"name": "y"}],
    "backends": {"tfserving": {"lineages": {"tensorflow": {"model": "double"}}}},
}


def numbers(*values: float) -> Rows:
    return Rows({"x": np.array(values)}, len(values))


async def test_the_request_as_the_server_gets_it(serve: Serve, tmp_path: Path) -> None:
    seen: list[Any] = []

    async def predict(request: Any, context: Any) -> Any:
        sent = {key: value for key, value in context.invocation_metadata() if key != "user-agent"}
        seen.append((request, sent, context.time_remaining()))
        return await double(request, context)

    backend = TFServingGrpcBackend(await serve(Predict=predict))
    where = target(described_by(DOUBLE, tmp_path))
    await backend.load(where)
    headers = {"X-Request-Id": "7", "traceparent": "00-a-b-01", "tracestate": "ü"}
    outputs = await backend.predict(where, numbers(1.5, 2), Call.within(3, headers))
    assert outputs["y"].tolist() == [3.0, 4.0]
    ((request, sent, remaining),) = seen
    assert (request.model_spec.name, request.model_spec.version.value) == ("double", 1)
    assert request.model_spec.signature_name == "serving_default"
    tensor = request.inputs["x"]
    assert (tensor.dtype, [dim.size for dim in tensor.tensor_shape.dim]) == (1, [2])
    assert tensor.tensor_content == np.array([1.5, 2], "<f4").tobytes()
    # What gRPC's metadata cannot carry stays behind.
    assert sent == {"x-request-id": "7", "traceparent": "00-a-b-01"}
    assert remaining == pytest.approx(3, abs=1)
    await backend.close()


async def test_latest_leaves_the_version_to_the_server(serve: Serve, tmp_path: Path) -> None:
    versions: list[bool] = []

    async def predict(request: Any, context: Any) -> Any:
        versions.append(request.model_spec.HasField("version"))
        return await double(request, context)

    backend = TFServingGrpcBackend(await serve(Predict=predict))
    await ask(backend, target(described_by(DOUBLE, tmp_path), version="latest"), numbers(1))
    assert versions == [False]
    await backend.close()


@pytest.mark.parametrize(
    ("code", "becomes"),
    [
        ("UNAVAILABLE", 503),
        ("RESOURCE_EXHAUSTED", 503),
        ("DEADLINE_EXCEEDED", 504),
        ("INVALID_ARGUMENT", 502),
        ("FAILED_PRECONDITION", 502),
        ("NOT_FOUND", 502),
        ("INTERNAL", 502),
        ("CANCELLED", 502),
        ("UNKNOWN", 502),
        ("UNIMPLEMENTED", 502),
    ],
)
async def test_status_codes_carry_the_servers_words(
    serve: Serve, tmp_path: Path, code: str, becomes: int
) -> None:
    async def refuse(request: Any, context: Any) -> Any:
        context.set_trailing_metadata((("x-stand-in", "something"),))
        await context.abort(grpc.StatusCode[code], "the reason")

    url = await serve(Predict=refuse, GetModelStatus=refuse)
    backend = TFServingGrpcBackend(url)
    where = target(described_by(DOUBLE, tmp_path))
    with pytest.raises(BackendError, match=f"{code}: the reason") as caught:
        await ask(backend, where, numbers(1))
    assert caught.value.status == becomes
    health = await backend.check(where, Call.within(5))
    assert (health.ready, health.stand_in) == (False, "something")
    assert "the reason" in health.detail
    await backend.close()


@pytest.mark.parametrize(
    ("dtype", "sizes", "words"),
    [(8, [1], "cannot be read"), (1, [-1], "unknown shape"), (1, [2], "2 rows of 1"),
     (1, [], "0 rows of 1")],
)  # fmt: skip
async def test_replies_that_are_no_predictions(
    serve: Serve, tmp_path: Path, dtype: int, sizes: list[int], words: str
) -> None:
    async def predict(request: Any, context: Any) -> Any:
        reply = predict_pb2.PredictResponse()
        reply.outputs["y"].dtype = dtype
        for size in sizes:
            reply.outputs["y"].tensor_shape.dim.add(size=size)
        return reply

    backend = TFServingGrpcBackend(await serve(Predict=predict))
    with pytest.raises(BackendError, match=words) as caught:
        await ask(backend, target(described_by(DOUBLE, tmp_path)), numbers(1))
    assert caught.value.status == 502
    await backend.close()


@pytest.mark.parametrize(("states", "words"), [([2, 3], "state LOADING"), ([], "holds no")])
async def test_health_says_why(serve: Serve, tmp_path: Path, states: list[int], words: str) -> None:
    reply = get_model_status_pb2.GetModelStatusResponse()
    for state in states:
        reply.model_version_status.add().state = {2: 20, 3: 30}[state]

    async def status(request: Any, context: Any) -> Any:
        return reply

    backend = TFServingGrpcBackend(await serve(GetModelStatus=status))
    where = target(described_by(DOUBLE, tmp_path))
    await backend.load(where)
    health = await backend.check(where, Call.within(5))
    assert not health.ready
    assert words in health.detail
    assert health.stand_in is None
    await backend.close()


async def test_a_past_deadline_sends_nothing(serve: Serve, tmp_path: Path) -> None:
    asked: list[Any] = []

    async def note(request: Any, context: Any) -> Any:
        asked.append(request)
        return await metadata(request, context)

    backend = TFServingGrpcBackend(await serve(GetModelMetadata=note, GetModelStatus=note))
    where = target(described_by(DOUBLE, tmp_path))
    with pytest.raises(BackendTimeout):
        await ask(backend, where, numbers(1), seconds=-1)
    assert not (await backend.check(where, Call.within(-1))).ready
    assert asked == []
    await backend.close()


async def test_a_restart_between_calls_never_shows(serve: Serve, tmp_path: Path) -> None:
    port = free_port()
    backend = TFServingGrpcBackend(await serve(port))
    where = target(described_by(DOUBLE, tmp_path))
    for _ in range(3):
        assert (await ask(backend, where, numbers(1)))["y"].tolist() == [2.0]
        await serve.running[-1].stop(0)  # type: ignore[attr-defined]
        await serve(port)
    await backend.close()


@pytest.mark.alone
async def test_it_is_found_again_within_a_second(serve: Serve, tmp_path: Path) -> None:
    port = free_port()
    backend = TFServingGrpcBackend(f"grpc://127.0.0.1:{port}")
    where = target(described_by(DOUBLE, tmp_path))
    down = time.monotonic() + 2
    while time.monotonic() < down:
        with pytest.raises(BackendUnavailable):
            await ask(backend, where, numbers(1))
        await asyncio.sleep(0.05)
    await serve(port)
    back = time.monotonic() + 1
    while True:
        try:
            assert (await ask(backend, where, numbers(1)))["y"].tolist() == [2.0]
            break
        except BackendUnavailable:
            assert time.monotonic() < back
            await asyncio.sleep(0.05)
    await backend.close()


async def test_an_exchanged_model_is_noticed(serve: Serve, tmp_path: Path) -> None:
    """The server is restarted with a signature of another type."""
    port = free_port()
    backend = TFServingGrpcBackend(await serve(port))
    where = target(described_by(DOUBLE, tmp_path))
    assert (await ask(backend, where, numbers(1)))["y"].tolist() == [2.0]
    await serve.running[-1].stop(0)  # type: ignore[attr-defined]

    async def wide_metadata(request: Any, context: Any) -> Any:
        reply = await metadata(request, context)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        signatures.signature_def["serving_default"].inputs["x"].dtype = 2
        reply.metadata["signature_def"].Pack(signatures)
        return reply

    async def wide(request: Any, context: Any) -> Any:
        tensor = request.inputs["x"]
        if tensor.dtype != 2:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "float is not double")
        tensor.tensor_content = np.frombuffer(tensor.tensor_content, "<f8").astype("<f4").tobytes()
        return await double(request, context)

    await serve(port, GetModelMetadata=wide_metadata, Predict=wide)
    with pytest.raises(BackendError, match="float is not double"):
        await ask(backend, where, numbers(1))
    assert (await ask(backend, where, numbers(1)))["y"].tolist() == [2.0]
    await backend.close()


def test_the_scheme_chooses_the_adapter() -> None:
    def made(url: str) -> Backend:
        return ADAPTERS["tfserving"].from_settings(Settings(tfserving_url=url))

    assert type(made("http://host:8501")) is TFServingBackend
    assert type(made("https://host")) is TFServingBackend
    assert type(made("grpc://host:8500")) is TFServingGrpcBackend
    assert made("grpc://host").url == "grpc://host:8500"
    assert made("grpc://[::1]:9").url == "grpc://[::1]:9"
    assert made("grpc://user:secret@host:9").url == "grpc://host:9"
    for url in ("ftp://u:secret@host:1", "host:1", "", "grpc://", "grpc://u:secret@host:1/base"):
        with pytest.raises(ConfigError, match="is not a URL like") as caught:
            made(url)
        assert "secret" not in caught.value.detail


async def test_the_options_are_checked(tmp_path: Path) -> None:
    backend = TFServingGrpcBackend("grpc://127.0.0.1:9")
    for options, words in [({"version": "newest"}, "newest"), ({"modell": "x"}, "modell")]:
        with pytest.raises(ModelError, match=words):
            await backend.load(target(described_by(DOUBLE, tmp_path), **options))


@pytest.mark.parametrize("package", ["grpc.aio", "tensorflow_serving.apis"])
def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[grpc\]'"):
        load_apis.__wrapped__()


#: Asks a server through the adapter in a fresh process, then says what that process has loaded.
ALONE = """
import asyncio, json, sys
from pathlib import Path
from gateway.backends import ADAPTERS, Call, Target
from gateway.config import Settings
from gateway.models.repository import Repository

async def main():
    backend = ADAPTERS["tfserving"].from_settings(Settings(tfserving_url=sys.argv[1]))
    model = Repository.scan(Path(sys.argv[2])).get("weight-change")
    options = model.manifest.backends["tfserving"].lineages["tensorflow"]
    target = Target("tfserving", model, "tensorflow", options)
    await backend.load(target)
    rows = model.validator.convert([model.manifest.example])
    outputs = await backend.predict(target, rows, Call.within(10))
    await backend.close()
    return float(outputs["weight_change"][0])

value = asyncio.run(main())
maps = Path("/proc/self/maps").read_text()
rss = next(int(line.split()[1]) for line in Path("/proc/self/status").open() if "VmRSS" in line)
print(json.dumps({
    "value": value,
    "modules": [name for name in sys.modules if name.split(".")[0] == "tensorflow"],
    "libraries": [line for line in maps.splitlines() if "tensorflow" in line],
    "rss_mb": rss / 1000,
}))
"""


def test_tensorflow_stays_out_of_the_process(server: Server) -> None:
    assert server.grpc_url is not None
    told = subprocess.run(
        [sys.executable, "-c", ALONE, server.grpc_url, str(REPOSITORY)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    report = json.loads(told.stdout)
    assert np.isfinite(report["value"])
    assert report["libraries"] == []
    # The messages and the packages they lie in, and nothing else.
    assert "tensorflow.core.framework.tensor_pb2" in report["modules"]
    assert "tensorflow" not in report["modules"]
    assert "tensorflow.python" not in report["modules"]
    assert report["rss_mb"] < 200
