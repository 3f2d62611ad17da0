"""Asking a backend's own server, as its clients do today: by what the gateway's adapter sends it.

The adapter is pointed at a recorder in place of its server, so that nothing here need know the
server's protocol.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import msgspec

from gateway.backends import ADAPTERS
from gateway.backends.base import Call, Target
from gateway.config import Settings
from gateway.errors import BackendError, GatewayError
from gateway.models.repository import ModelVersion
from loadtests.compare.errors import CompareError
from loadtests.compare.results import Subject

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_HOST = re.compile(rb"(\r\nhost:[ \t]*)[^\r]*", re.IGNORECASE)
_WITHIN_S = 5.0


def direct(subject: Subject) -> Subject | None:
    """The same backend, asked without the gateway; None where it has no server with HTTP."""
    if subject.server is None or not subject.server.startswith("http://"):
        return None
    return msgspec.structs.replace(subject, name=f"{subject.name} direct", direct=True)


async def record(
    subject: Subject, version: ModelVersion, bodies: Sequence[Sequence[dict[str, Any]]]
) -> list[bytes]:
    """The HTTP requests by which the adapter asks the subject's server for each body's rows.

    ``version`` is the model in the repository that the gateway serves. Raises
    :class:`CompareError` where the adapter cannot be used here.
    """
    heard: list[bytes] = []
    asked_at = urlsplit(subject.server or "")
    server = await asyncio.start_server(lambda r, w: _hear(r, w, heard), "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{asked_at.path}"
        settings = _settings(subject.backend, url)
        spec = version.manifest.backends[subject.backend]
        target = Target(subject.backend, version, subject.lineage, spec.lineages[subject.lineage])
        backend = ADAPTERS[subject.backend].from_settings(settings)
        try:
            await backend.load(target)
            for rows in bodies:
                asked = version.validator.convert(rows)
                with suppress(BackendError):  # the recorder has no prediction to give
                    await backend.predict(target, asked, Call.within(_WITHIN_S))
        except GatewayError as error:
            raise CompareError(f"{subject.name}: {error.detail}") from error
        finally:
            await backend.close()
    if len(heard) != len(bodies):
        raise CompareError(f"{subject.name}: its adapter sent {len(heard)} requests")
    host = asked_at.netloc.encode()
    return [_HOST.sub(rb"\g<1>" + host, request, count=1) for request in heard]


def _settings(backend: str, url: str) -> Settings:
    """Settings by which the backend's server is at ``url``."""
    own = f"{backend}_url"
    known = own in Settings.__struct_fields__
    return msgspec.convert({own: url} if known else {"backend_urls": f"{backend}={url}"}, Settings)


async def _hear(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: list[bytes]
) -> None:
    """Keep every request of a connection, and refuse it."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            heard.append(head + body)
            writer.write(b"HTTP/1.1 500 Recorded\r\nContent-Length: 0\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
