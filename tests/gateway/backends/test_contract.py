"""The contract for every adapter, and what those that need no server do beyond it."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest
from aiohttp import web

from gateway.backends import (
    Backend,
    Call,
    MemoryBackend,
    OnnxBackend,
    Target,
    TFServingBackend,
    TFServingGrpcBackend,
    TorchServeBackend,
    conform,
)
from gateway.config import Settings
from gateway.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    InputRefused,
    ModelError,
)
from gateway.models.manifest import Output
from gateway.models.repository import ModelVersion, Repository
from gateway.models.rows import Outputs, Rows, join
from tests.conftest import mixed_graph
from tests.gateway.backends.contract import (
    MANIFEST,
    ConfiguredContract,
    Contract,
    Function,
    RemoteContract,
)
from tests.gateway.backends.servers import (
    http_server,
    tfserving_grpc,
    tfserving_rest,
    torchserve,
)


def add_up(rows: Rows) -> Outputs:
    extra = rows.columns["big"].astype(np.float32) * 100
    total = (
        rows.columns["count"].astype(np.float32) + rows.columns["size"].astype(np.float32) + extra
    )
    return {"total": total, "named": rows.columns["name"]}


class TestOnnx(ConfiguredContract):
    options: ClassVar = {"artifact": "mixed.onnx"}

    @pytest.fixture
    def backend(self) -> Backend:
        return OnnxBackend.from_settings(Settings(onnx_threads=1))


class TestOnnxOnAWorkerThread(TestOnnx):
    @pytest.fixture
    def backend(self) -> Backend:
        return OnnxBackend(threads=1, inline_limit_s=0)


class TestMemory(Contract):
    @pytest.fixture
    def backend(self) -> Backend:
        return MemoryBackend(add_up)


class TestTFServing(RemoteContract):
    options: ClassVar = {"model": "mixed"}

    def make(self, url: str) -> Backend:
        return TFServingBackend(url)

    def serve(self, function: Function) -> AbstractAsyncContextManager[str]:
        return http_server(tfserving_rest(function))


class TestTFServingGrpc(RemoteContract):
    options: ClassVar = {"model": "mixed"}
    scheme = "grpc"

    def make(self, url: str) -> Backend:
        return TFServingGrpcBackend(url)

    def serve(self, function: Function) -> AbstractAsyncContextManager[str]:
        return tfserving_grpc(function)


class TestTorchServe(RemoteContract):
    options: ClassVar = {"model": "mixed"}

    def make(self, url: str) -> Backend:
        return TorchServeBackend(url, url)

    def serve(self, function: Function) -> AbstractAsyncContextManager[str]:
        return http_server(torchserve(function))

    @pytest.mark.parametrize("words", ["Prediction failed", "Invalid model predict output"])
    async def test_a_handler_that_fails_does_not_stand_for_the_server(
        self, model: ModelVersion, words: str
    ) -> None:
        error = await self._error(model, 503, {"code": 503, "type": "x", "message": words})
        assert type(error) is BackendError
        assert words in error.detail
        full = {"code": 503, "type": "ServiceUnavailableException", "message": "no worker"}
        assert type(await self._error(model, 503, full)) is BackendUnavailable

    async def test_what_its_handler_refuses_is_the_clients(self, model: ModelVersion) -> None:
        said = {"code": 400, "type": "InputRefused", "message": "index out of range", "errors": []}
        error = await self._error(model, 400, said)
        assert isinstance(error, InputRefused)
        assert error.detail == "torchserve: index out of range"
        assert type(await self._error(model, 400, said | {"type": "Bad"})) is BackendError

    async def _error(
        self, model: ModelVersion, status: int, answer: dict[str, Any]
    ) -> BackendError:
        """What a prediction raises where the server answers this."""

        async def reply(request: web.Request) -> web.Response:
            return web.json_response(answer, status=status)

        async with http_server(reply) as url, self.made(url) as backend:
            with pytest.raises(BackendError) as caught:
                await self.ask(backend, model)
        return caught.value


@pytest.fixture
def model(tmp_path: Path) -> ModelVersion:
    mixed_graph(tmp_path / "mixed.onnx")
    return Repository().add(MANIFEST, "1", tmp_path)


def target(model: ModelVersion, backend: str, **options: Any) -> Target:
    return Target(backend, model, "pytorch", {"artifact": "mixed.onnx"} | options)


async def test_onnx_refuses_what_it_cannot_run(model: ModelVersion, tmp_path: Path) -> None:
    backend = OnnxBackend(threads=1)
    for options, word in [
        ({"artifact": "gone.onnx"}, "gone.onnx"),
        ({"artifact": "../mixed.onnx"}, "outside"),
        ({"artifakt": "x"}, "artifakt"),
    ]:
        with pytest.raises(ModelError, match=word):
            await backend.load(target(model, "onnx", **options))


async def test_onnx_respects_the_deadline(model: ModelVersion) -> None:
    backend = OnnxBackend(threads=1)
    where = target(model, "onnx")
    await backend.load(where)
    rows = model.validator.convert([MANIFEST.example])
    with pytest.raises(BackendTimeout):
        await backend.predict(where, rows, Call.within(0))
    assert (await backend.check(where, Call.within(1))).ready
    await backend.unload(where)
    assert not (await backend.check(where, Call.within(1))).ready


async def test_onnx_gives_up_the_loop_for_what_takes_long(model: ModelVersion) -> None:
    rows = model.validator.convert([MANIFEST.example])
    many = join([rows] * 4000)
    where = target(model, "onnx")
    for limit, inline in ((0.0, False), (10.0, True)):
        backend = OnnxBackend(threads=1, inline_limit_s=limit)
        await backend.load(where)
        assert (backend.predict_now(where, rows) is not None) is inline
        answer = asyncio.ensure_future(backend.predict(where, many, Call.within(5)))
        await asyncio.sleep(0)
        assert answer.done() is inline
        assert len((await answer)["total"]) == 4000


async def test_memory_can_be_slow_and_can_fail(model: ModelVersion) -> None:
    backend = MemoryBackend(add_up, delay=5)
    rows = model.validator.convert([MANIFEST.example])
    with pytest.raises(BackendTimeout):
        await backend.predict(target(model, "memory"), rows, Call.within(0.01))
    backend.delay, backend.fail = 0, BackendUnavailable("memory", "as told")
    with pytest.raises(BackendUnavailable, match="as told"):
        await backend.predict(target(model, "memory"), rows, Call.within(1))
    assert backend.calls == [1, 1]


def only(model: ModelVersion, *outputs: Output) -> ModelVersion:
    return Repository().add(msgspec.structs.replace(MANIFEST, outputs=outputs), "1", model.folder)


def test_conform_renames_and_drops_the_trailing_one(model: ModelVersion) -> None:
    where = target(only(model, Output("y")), "onnx")
    assert conform(where, {"whatever": np.ones((2, 1))}, 2)["y"].shape == (2,)
    theirs = {"a": np.zeros(1), "b": np.ones(1)}
    assert conform(where, theirs, 1, {"y": "b"})["y"].tolist() == [1.0]
    wide = target(only(model, Output("y", shape=(1,))), "onnx")
    assert conform(wide, {"y": np.ones((2, 1))}, 2)["y"].shape == (2, 1)


@pytest.mark.parametrize(
    "arrays", [{"a": np.zeros(1), "b": np.ones(1)}, {"y": np.zeros(3)}, {"y": np.float32(1)}, {}]
)
def test_conform_refuses_missing_outputs_and_rows(model: ModelVersion, arrays: Any) -> None:
    with pytest.raises(BackendError):
        conform(target(only(model, Output("y")), "onnx"), arrays, 1)
