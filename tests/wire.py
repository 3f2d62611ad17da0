"""A raw connection to a gateway, for tests of what HTTP clients do not show."""

from __future__ import annotations

import asyncio
import json
from email.parser import BytesParser
from typing import Any, Self

from tests.conftest import Client


class Wire:
    """A raw connection to a gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, client: Client) -> Self:
        """A connection of its own to the gateway of a client."""
        url = client._base_url
        assert url is not None
        return cls(*await asyncio.open_connection(url.host, url.port))

    def send(self, body: bytes, version: str = "1.1", **headers: str) -> None:
        lines = [f"POST /v1/predict HTTP/{version}", "Host: x", f"Content-Length: {len(body)}"]
        lines += ["Content-Type: application/json"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def receive(self) -> tuple[str, dict[str, str], Any]:
        """Status line, headers and decoded body of the next response."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        status, _, rest = head.partition(b"\r\n")
        headers = dict(BytesParser().parsebytes(rest).items())
        body = await self.reader.readexactly(int(headers["Content-Length"]))
        return status.decode(), headers, json.loads(body)

    async def closed(self, within_s: float = 5) -> bool:
        """Whether the gateway ends the connection without another byte."""
        try:
            return await asyncio.wait_for(self.reader.read(1), within_s) == b""
        except ConnectionError:
            return True
