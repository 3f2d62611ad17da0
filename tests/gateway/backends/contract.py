"""What every adapter owes the router: subclass it as ``Test…`` and say how yours is made.

The model adds up and says a name again; behind a remote adapter it is computed by a plain function,
which a server of the adapter's protocol calls, and which can be made to fail as servers do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest
from aiohttp.test_utils import unused_port

from gateway.backends import Backend, Call, Health, Target
from gateway.errors import BackendError, BackendTimeout, BackendUnavailable, ModelError
from gateway.models.manifest import Manifest
from gateway.models.repository import ModelVersion, Repository
from gateway.models.rows import Outputs
from tests.conftest import MIXED, mixed_graph

MANIFEST = msgspec.convert(MIXED, Manifest)
ROW = dict(MANIFEST.example)
LONG_S = 30.0

#: What a server answers with: payload objects in, objects of outputs out, or :class:`Refusal`.
#: The second argument are the request's headers, their names in lower case.
Function = Callable[[list[dict[str, Any]], Mapping[str, str]], Awaitable[list[dict[str, Any]]]]
Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Refusal(Exception):
    """The server shall refuse the request with these words, in its protocol's own form."""


def add_up(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"total": row["count"] + row["size"] + 100 * row["big"], "named": row["name"]}


async def honest(rows: list[dict[str, Any]], headers: Mapping[str, str]) -> list[dict[str, Any]]:
    return [add_up(row) for row in rows]


def payloads(count: int, offset: int = 0) -> list[dict[str, Any]]:
    """Rows that all have other answers."""
    return [
        {"count": offset + i, "size": 0.5, "big": i % 2 == 0, "name": "ab"[i % 2]}
        for i in range(count)
    ]


def check_answers(outputs: Outputs, rows: list[dict[str, Any]]) -> None:
    assert list(outputs) == ["total", "named"]
    answers = [add_up(row) for row in rows]
    for name, array in outputs.items():
        assert isinstance(array, np.ndarray)
        assert array.shape == (len(rows),)
        assert array.tolist() == [answer[name] for answer in answers]


class Contract:
    """Of every adapter; ``backend`` is the fixture to give, ``options`` the manifest's for it."""

    options: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def model(self, tmp_path: Path) -> ModelVersion:
        mixed_graph(tmp_path / "mixed.onnx")
        return Repository().add(MANIFEST, "1", tmp_path)

    def target(self, backend: Backend, model: ModelVersion, **options: Any) -> Target:
        return Target(backend.name, model, "pytorch", {**self.options, **options})

    async def test_every_row_gets_its_own_answer(
        self, backend: Backend, model: ModelVersion
    ) -> None:
        where = self.target(backend, model)
        await backend.load(where)
        assert (await backend.check(where, Call.within(5))).ready
        for count in (1, 50):
            rows = payloads(count)
            outputs = await backend.predict(where, model.validator.convert(rows), Call.within(5))
            check_answers(outputs, rows)

    async def test_calls_at_once_do_not_mix(self, backend: Backend, model: ModelVersion) -> None:
        first, second = self.target(backend, model), self.target(backend, model)
        await asyncio.gather(backend.load(first), backend.load(second))

        async def ask(where: Target, offset: int) -> None:
            rows = payloads(1 + offset % 7, offset)
            outputs = await backend.predict(where, model.validator.convert(rows), Call.within(5))
            check_answers(outputs, rows)

        await asyncio.gather(*(ask((first, second)[i % 2], 100 * i) for i in range(20)))
        await backend.unload(second)
        await ask(first, 0)

    async def test_rows_that_were_joined_or_cut(
        self, backend: Backend, model: ModelVersion
    ) -> None:
        where = self.target(backend, model)
        await backend.load(where)
        rows = payloads(9)
        cut = model.validator.convert(rows).slice(3, 8)
        check_answers(await backend.predict(where, cut, Call.within(5)), rows[3:8])

    async def test_it_can_be_loaded_again(self, backend: Backend, model: ModelVersion) -> None:
        for _ in range(2):
            where = self.target(backend, model)
            await backend.load(where)
            rows = model.validator.convert([ROW])
            check_answers(await backend.predict(where, rows, Call.within(5)), [ROW])
            await backend.unload(where)

    async def test_a_past_deadline(self, backend: Backend, model: ModelVersion) -> None:
        where = self.target(backend, model)
        await backend.load(where)
        rows = model.validator.convert([ROW])
        with pytest.raises(BackendTimeout):
            await backend.predict(where, rows, Call.within(-1))
        check_answers(await backend.predict(where, rows, Call.within(5)), [ROW])

    async def test_closing_what_was_never_used(self, backend: Backend) -> None:
        await backend.close()


class ConfiguredContract(Contract):
    """Of those that have options in the manifest."""

    async def test_options_it_does_not_know(self, backend: Backend, model: ModelVersion) -> None:
        with pytest.raises(ModelError, match="no_such_option"):
            await backend.load(self.target(backend, model, no_such_option=1))


class RemoteContract(ConfiguredContract):
    """Of those that ask a server; ``scheme`` is that of its URL."""

    scheme = "http"

    def make(self, url: str) -> Backend:
        """The adapter for a server at ``url``."""
        raise NotImplementedError

    def serve(self, function: Function) -> AbstractAsyncContextManager[str]:
        """A server of the protocol, with the model ``mixed``, version 1; gives its URL."""
        raise NotImplementedError

    @pytest.fixture
    async def backend(self) -> AsyncIterator[Backend]:
        async with self.asking(honest) as backend:
            yield backend

    @asynccontextmanager
    async def asking(self, function: Function) -> AsyncIterator[Backend]:
        """The adapter, and a server that answers by ``function``."""
        async with self.serve(function) as url, self.made(url) as backend:
            yield backend

    @asynccontextmanager
    async def made(self, url: str) -> AsyncIterator[Backend]:
        backend = self.make(url)
        try:
            yield backend
        finally:
            await backend.close()

    @asynccontextmanager
    async def raw(self, handle: Handle) -> AsyncIterator[Backend]:
        """The adapter, and something that is no server of its protocol."""
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, self.made(f"{self.scheme}://127.0.0.1:{port}") as backend:
            yield backend

    async def ask(
        self, backend: Backend, model: ModelVersion, seconds: float = 5, count: int = 3
    ) -> Outputs:
        where = self.target(backend, model)
        await backend.load(where)
        headers = {"X-Request-Id": "seven"}
        rows = model.validator.convert(payloads(count))
        return await backend.predict(where, rows, Call.within(seconds, headers))

    async def health(self, backend: Backend, model: ModelVersion, seconds: float = 2) -> Health:
        where = self.target(backend, model)
        await backend.load(where)
        return await backend.check(where, Call.within(seconds))

    async def test_the_callers_headers_travel(self, model: ModelVersion) -> None:
        seen: list[Mapping[str, str]] = []

        async def note(rows: list[dict[str, Any]], headers: Mapping[str, str]) -> Any:
            seen.append(headers)
            return [add_up(row) for row in rows]

        async with self.asking(note) as backend:
            await self.ask(backend, model)
        assert [headers["x-request-id"] for headers in seen] == ["seven"]

    async def test_a_refusal_carries_the_servers_words(self, model: ModelVersion) -> None:
        async def refuse(rows: list[dict[str, Any]], headers: Mapping[str, str]) -> Any:
            raise Refusal("the very reason")

        async with self.asking(refuse) as backend:
            with pytest.raises(BackendError, match="the very reason"):
                await self.ask(backend, model)

    @pytest.mark.parametrize("left", [0, 2])
    async def test_an_answer_with_too_few_rows(self, model: ModelVersion, left: int) -> None:
        async def forget(rows: list[dict[str, Any]], headers: Mapping[str, str]) -> Any:
            return [add_up(row) for row in rows][:left]

        async with self.asking(forget) as backend:
            with pytest.raises(BackendError):
                await self.ask(backend, model)

    async def test_an_answer_without_an_output(self, model: ModelVersion) -> None:
        async def forget(rows: list[dict[str, Any]], headers: Mapping[str, str]) -> Any:
            return [{"total": 1.0, "other": "x"} for _ in rows]

        async with self.asking(forget) as backend:
            with pytest.raises(BackendError, match="named"):
                await self.ask(backend, model)

    async def test_a_server_that_hangs_costs_the_deadline(self, model: ModelVersion) -> None:
        async def hang(rows: list[dict[str, Any]], headers: Mapping[str, str]) -> Any:
            await asyncio.sleep(LONG_S)

        async with self.asking(hang) as backend:
            started = time.monotonic()
            with pytest.raises(BackendTimeout):
                await self.ask(backend, model, seconds=0.3)
            assert time.monotonic() - started < 3

    async def test_a_call_given_up_leaves_no_trace(self, model: ModelVersion) -> None:
        async def slow(rows: list[dict[str, Any]], headers: Mapping[str, str]) -> Any:
            if len(rows) == 3:
                await asyncio.sleep(LONG_S)
            return [add_up(row) for row in rows]

        async with self.asking(slow) as backend:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(self.ask(backend, model), 0.3)
            check_answers(await self.ask(backend, model, count=4), payloads(4))

    async def test_nobody_listens(self, model: ModelVersion) -> None:
        async with self.made(f"{self.scheme}://127.0.0.1:{unused_port()}") as backend:
            with pytest.raises(BackendUnavailable):
                await self.ask(backend, model)
            health = await self.health(backend, model)
            assert not health.ready
            assert health.detail

    async def test_somebody_else_listens(self, model: ModelVersion) -> None:
        async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(65536)
            body = b"<html>It works!</html>"
            writer.write(b"HTTP/1.1 404 NF\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
            writer.close()

        async with self.raw(page) as backend:
            with pytest.raises(BackendError):
                await self.ask(backend, model, seconds=2)
            assert not (await self.health(backend, model)).ready

    async def test_a_server_that_says_nothing(self, model: ModelVersion) -> None:
        async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with self.raw(silence) as backend:
            started = time.monotonic()
            with pytest.raises((BackendTimeout, BackendUnavailable)):
                await self.ask(backend, model, seconds=0.3)
            assert not (await self.health(backend, model, 0.3)).ready
            assert time.monotonic() - started < 4

    async def test_a_password_never_shows(self) -> None:
        async with self.made(f"{self.scheme}://user:secret@host:1") as backend:
            assert backend.url is not None
            assert "host" in backend.url
            assert "secret" not in f"{backend.url} {backend!r}"
