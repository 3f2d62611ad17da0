"""What every backend behind HTTP shares: one pooled session, deadlines, errors, stand-ins."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from gateway.backends.base import Backend, Call
from gateway.errors import BackendError, BackendTimeout, BackendUnavailable, ConfigError, shorten

#: A server that only stands in for the real one says so with this header in every reply.
STAND_IN_HEADER = "X-Stand-In"
_MAX_DETAIL_CHARS = 500
#: A reused connection the server has meanwhile closed, or is closing.
_STALE = (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError)


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
    """A backend reached over HTTP, with one session for all its models.

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
        self._open_session: aiohttp.ClientSession | None = None

    async def request(
        self, method: str, path: str, call: Call, body: object = None, base: URL | None = None
    ) -> Reply:
        """Send one request and read the reply, whatever its status.

        A prediction changes nothing at the server, so a request that dies on a stale keep-alive
        connection is sent once more. Raises :class:`BackendUnavailable` when no connection can be
        made, :class:`BackendTimeout` at the deadline, :class:`BackendError` when the reply breaks
        off.
        """
        data = None if body is None else msgspec.json.encode(body)
        headers = {**call.headers, "Content-Type": "application/json"} if data else call.headers
        url = _join(base or self._base, path)
        for last_try in (False, True):
            remaining = call.remaining
            if remaining <= 0:
                raise BackendTimeout(self.name, "it did not answer within the deadline")
            timeout = aiohttp.ClientTimeout(total=remaining, sock_connect=self._connect_timeout)
            try:
                async with self._session().request(
                    method,
                    url,
                    data=data,
                    headers=headers,
                    timeout=timeout,
                    allow_redirects=False,
                ) as response:
                    return Reply(
                        response.status,
                        await response.read(),
                        response.headers.get(STAND_IN_HEADER),
                    )
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                raise BackendUnavailable(
                    self.name, f"no connection to {self.url}: {_reason(error)}"
                ) from error
            except _STALE as error:
                if last_try:
                    raise BackendUnavailable(
                        self.name, f"{self.url} closed the connection: {_reason(error)}"
                    ) from error
            except TimeoutError as error:
                raise BackendTimeout(self.name, "it did not answer within the deadline") from error
            except aiohttp.ClientError as error:
                raise BackendError(
                    self.name, f"the reply cannot be read: {_reason(error)}"
                ) from error
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
        if self._open_session is not None:
            await self._open_session.close()
            self._open_session = None

    def _session(self) -> aiohttp.ClientSession:
        """The session, made at first use because it belongs to the running event loop."""
        if self._open_session is None:
            self._open_session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._max_connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=True,
            )
        return self._open_session


@lru_cache(maxsize=1_000)
def _join(base: URL, path: str) -> URL:
    """The URL of a path below ``base``; kept, because making one costs as much as sending it."""
    return base.joinpath(*path.strip("/").split("/"))


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
