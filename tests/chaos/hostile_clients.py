"""Clients that only take up room, in a process of their own: ``python -m … HOST PORT``.

200 send a request byte by byte, 200 connect and send nothing, 10 send many requests at once. Prints
as JSON what became of them, when the gateway has ended the last of the first two kinds.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

PAYLOAD = json.dumps({"count": 2, "size": 0.5, "big": True, "name": "b"}).encode()
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
REQUEST = HEAD + b"Content-Length: %d\r\n\r\n" % len(PAYLOAD) + PAYLOAD
SLOW, HALF_OPEN, PIPELINING, AT_ONCE = 200, 200, 10, 100
#: Seconds after which a client that was not ended gives up by itself.
PATIENCE_S = 12.0


class Clients:
    """All of them, and what became of them."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self.seen: Counter[str] = Counter()

    async def run(self) -> None:
        """Return when the gateway has ended those that wait for it."""
        pipelining = [asyncio.create_task(self.pipelining()) for _ in range(PIPELINING)]
        ended = [self.slow(n) for n in range(SLOW)] + [self.half_open() for _ in range(HALF_OPEN)]
        await asyncio.gather(*ended)
        for task in pipelining:
            task.cancel()
        await asyncio.gather(*pipelining, return_exceptions=True)

    async def slow(self, number: int) -> None:
        """Head or body never come whole."""
        reader, writer = await asyncio.open_connection(*self._address)
        if number % 2:
            writer.write(HEAD + b"Content-Length: 1000\r\n\r\n")
        answer = asyncio.create_task(reader.read())
        for byte in HEAD * 2:
            writer.write(bytes([byte]))
            done, _ = await asyncio.wait([answer], timeout=0.1)
            if done:
                break
        try:
            status = (await answer).split(b" ", 2)[1:2]
        except ConnectionError:
            status = [b"reset"]
        self.seen["slow " + (status[0].decode() if status else "closed")] += 1

    async def half_open(self) -> None:
        """Nothing comes at all."""
        reader, _writer = await asyncio.open_connection(*self._address)
        try:
            ended = await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        except (ConnectionError, TimeoutError) as error:
            self.seen[f"half-open {type(error).__name__}"] += 1
        else:
            self.seen["half-open closed" if ended else "half-open answered"] += 1

    async def pipelining(self) -> None:
        """Many requests come at once, again and again."""
        reader, writer = await asyncio.open_connection(*self._address)
        while True:
            writer.write(REQUEST * AT_ONCE)
            for _ in range(AT_ONCE):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                self.seen["pipelined " + head.split(b" ", 2)[1].decode()] += 1


if __name__ == "__main__":
    clients = Clients(sys.argv[1], int(sys.argv[2]))
    asyncio.run(clients.run())
    json.dump(clients.seen, sys.stdout)
