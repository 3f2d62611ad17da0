"""What every backend behind HTTP shares: pooled connections, deadlines, errors, stand-ins."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
from yarl import URL

from gateway.backends.base import Backend, Call
from gateway.backends.pool import BROKEN, STALE, NoConnection, Pool, words
from gateway.errors import BackendError, BackendTimeout, BackendUnavailable, ConfigError, shorten

#: A server that only stands in for the real one says so with this header in every reply.
STAND_IN_HEADER = "X-Stand-In"
_MAX_DETAIL_CHARS = 500


class Reply(msgspec.Struct, frozen=True):
    """A server's reply, read in full."""

    status: int
    body: bytes
    stand_in: str | None

    def json(self) -> Any:
        """The body as JSON, with the bare NaN and Infinity that TensorFlow Serving may send."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return json.loads(self.body)


class HTTPBackend(Backend):
    """A backend reached over HTTP, with one pool of connections for all its models.

    ``max_connections`` bounds the pool, ``connect_timeout`` (seconds) the time to a connection
    within a call's deadline.
    """

    def __init__(self, url: str, max_connections: int = 100, connect_timeout: float = 1.0) -> None:
        self._base = URL(url)
        if self._base.scheme not in ("http", "https") or not self._base.host:
            raise ConfigError(f"{self.name}: {shorten(url)!r} is not a URL like http://host:port")
        #: Without credentials, so that it can be shown.
        self.url = str(self._base.with_user(None)).rstrip("/")
        self._max_connections = max_connections
        self._connect_timeout = connect_timeout
        self._open_pool: Pool | None = None

    async def request(
        self, method: str, path: str, call: Call, body: object = None, base: URL | None = None
    ) -> Reply:
        """Send one request and read the reply, whatever its status.

        A prediction changes nothing at the server, so a request that dies on a stale keep-alive
        connection is sent once more. Raises :class:`BackendUnavailable` when no connection can be
        made, :class:`BackendTimeout` at the deadline, :class:`BackendError` when the reply breaks
        off.
        """
        if isinstance(body, bytes):
            data = body
        else:
            data = b"" if body is None else msgspec.json.encode(body)
        headers = {**call.headers, "Content-Type": "application/json"} if data else call.headers
        base = base or self._base
        for last_try in (False, True):
            remaining = call.remaining
            if remaining <= 0:
                raise BackendTimeout(self.name, "it did not answer within the deadline")
            try:
                async with asyncio.timeout(remaining):
                    status, received, content = await self._pool().exchange(
                        method, base, path, headers, data
                    )
                return Reply(status, content, received.get(STAND_IN_HEADER))
            except NoConnection as error:
                detail = f"no connection to {base.origin()}: {error}"
                raise BackendUnavailable(self.name, detail) from error
            except STALE as error:
                if last_try:
                    detail = f"{base.origin()} closed the connection: {words(error)}"
                    raise BackendUnavailable(self.name, detail) from error
            except TimeoutError as error:
                raise BackendTimeout(self.name, "it did not answer within the deadline") from error
            except BROKEN as error:
                detail = f"the reply cannot be read: {words(error)}"
                raise BackendError(self.name, shorten(detail, _MAX_DETAIL_CHARS)) from error
        raise AssertionError("unreachable: the last try returns or raises")

    def refusal(self, reply: Reply, words: str | None) -> BackendError:
        """The error for a reply that is no prediction; ``words`` are the server's own."""
        detail = shorten(words or reply.body.decode("utf-8", "backslashreplace"), _MAX_DETAIL_CHARS)
        detail = f"it answered {reply.status}: {detail}"
        if reply.status in (429, 503):
            return BackendUnavailable(self.name, detail)
        if reply.status in (408, 504):
            return BackendTimeout(self.name, detail)
        return BackendError(self.name, detail)

    async def close(self) -> None:
        if self._open_pool is not None:
            await self._open_pool.close()
            self._open_pool = None

    def _pool(self) -> Pool:
        """The connections, made at first use because they belong to the running event loop."""
        if self._open_pool is None:
            self._open_pool = Pool(self._max_connections, self._connect_timeout)
        return self._open_pool
