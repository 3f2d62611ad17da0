"""The driver's process: reads a :class:`Plan`, sends requests, writes what became of each.

``python -m tests.chaos.driver`` reads the plan, msgpack preceded by its length in four bytes, from
its standard input. To its standard output it writes one byte once a request has been answered, and
in the end all records.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
import time
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import uvloop

from loadtests.compare.load.http1 import Connection, Lost, Reply, connect, encode
from tests.chaos.plan import Plan, Record

#: Seconds between two looks at a replica's readiness.
_LOOK_S = 0.05


class _Prediction(msgspec.Struct):
    backend: str
    lineage: str
    version: str
    predictions: list[dict[str, Any]]


class _Problem(msgspec.Struct):
    type: str
    status: int


_prediction = msgspec.json.Decoder(_Prediction)
_problem = msgspec.json.Decoder(_Problem)


class Replica:
    """One gateway: where it is, whether it said it is ready, and connections that are idle."""

    def __init__(self, number: int, url: str) -> None:
        self.number = number
        self.url = url
        self.ready = False
        self._idle: list[Connection] = []

    async def watch(self) -> None:
        """Ask for its readiness, again and again."""
        request = encode("GET", self.url, "/readyz", {}, "")
        while True:
            try:
                async with asyncio.timeout(1):
                    self.ready = (await self.ask(request)).status == 200
            except (OSError, Lost, TimeoutError):
                self.ready = False
            await asyncio.sleep(_LOOK_S)

    async def ask(self, request: bytes) -> Reply:
        """The answer to a request; raises OSError and :class:`Lost`."""
        connection = await self._take()
        try:
            reply = await connection.ask(request)
        except asyncio.CancelledError:
            connection.close()
            raise
        self._idle.append(connection)
        return reply

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                return connection
        return await connect(self.url)


class Driver:
    """Carries out one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._replicas = [Replica(number, url) for number, url in enumerate(plan.urls)]
        if not plan.follow:
            for replica in self._replicas:
                replica.ready = True
        self._requests = [self._encode(replica) for replica in self._replicas]
        self._sent = 0
        self._room = asyncio.Semaphore(plan.connections)
        self.records: list[Record] = []
        self.told = False

    def _encode(self, replica: Replica) -> list[bytes]:
        """Every request there will be, or the shortest list that holds each header and body."""
        plan = self._plan
        count = len(plan.bodies) * plan.keys
        requests = []
        for number in range(count):
            sticky = {plan.sticky: f"user-{number % plan.keys}"} if plan.sticky else {}
            body = plan.bodies[number // plan.keys]
            requests.append(encode("POST", replica.url, plan.path, plan.headers | sticky, body))
        return requests

    async def run(self) -> None:
        """Do all of it."""
        looks = (
            [asyncio.create_task(r.watch()) for r in self._replicas] if self._plan.follow else []
        )
        while not any(r.ready for r in self._replicas):  # noqa: ASYNC110 - a moment, once
            await asyncio.sleep(_LOOK_S)
        if self._plan.rate is None:
            clients = range(self._plan.connections)
            await asyncio.gather(*(self._closed_loop(number) for number in clients))
        else:
            await self._open_loop(self._plan.rate)
        for look in looks:
            look.cancel()

    @property
    def _goes_on(self) -> bool:
        return self._plan.until_told and not self.told

    async def _closed_loop(self, number: int) -> None:
        plan = self._plan
        end = time.monotonic() + plan.seconds
        while len(self.records) < plan.requests or time.monotonic() < end or self._goes_on:
            record = await self._send(time.monotonic(), number)
            if record.status != 200 and plan.pause_s:
                await asyncio.sleep(plan.pause_s)

    async def _open_loop(self, rate: float) -> None:
        begun = time.monotonic()
        sending: set[asyncio.Task[None]] = set()
        for due in arrivals(rate, self._plan.period_s):
            if due >= self._plan.seconds and not self._goes_on:
                break
            at = begun + due
            # No timer: its resolution, a millisecond, is as long as an answer takes.
            while time.monotonic() < at:  # noqa: ASYNC110 - a turn of the loop is what it is for
                await asyncio.sleep(0)
            task = asyncio.create_task(self._arrive(at))
            sending.add(task)
            task.add_done_callback(sending.discard)
        await asyncio.gather(*sending)

    async def _arrive(self, at: float) -> None:
        async with self._room:
            await self._send(at, self._sent)

    async def _send(self, at: float, client: int) -> Record:
        """Send the next request to the client's replica and record what comes of it."""
        number, self._sent = self._sent, self._sent + 1
        ready = [replica for replica in self._replicas if replica.ready]
        if not ready:
            # A load balancer answers 503 then.
            refused = Record(at, 0.0, -1, problem="no replica is ready")
            self._note(refused)
            await asyncio.sleep(_LOOK_S)
            return refused
        replica = ready[client % len(ready)]
        requests = self._requests[replica.number]
        record = Record(at, 0.0, replica.number, key=number % self._plan.keys)
        reply: Reply | None = None
        try:
            async with asyncio.timeout(self._plan.give_up_s):
                reply = await replica.ask(requests[number % len(requests)])
        except TimeoutError:
            record.problem = "no answer in time"
        except Lost as error:
            record.problem = str(error)
        except OSError as error:
            record.problem = f"cannot connect: {type(error).__name__}"
        record.latency_s = time.monotonic() - at
        if reply is not None:
            _read(reply, record)
        self._note(record)
        return record

    def _note(self, record: Record) -> None:
        if not self.records:
            os.write(sys.stdout.fileno(), b"!")
        self.records.append(record)


def arrivals(rate: float, period_s: float) -> Iterator[float]:
    """The times of a Poisson process, in seconds from its beginning, those of a period repeated."""
    random = Random(0)
    due, past = 0.0, 0.0
    while True:
        due += random.expovariate(rate)
        if period_s and due >= period_s:
            random, due, past = Random(0), 0.0, past + period_s
        else:
            yield past + due


def _read(reply: Reply, record: Record) -> None:
    """Note what the answer says."""
    record.status = reply.status
    try:
        if reply.status == 200:
            answer = _prediction.decode(reply.body)
            record.backend, record.lineage = answer.backend, answer.lineage
            record.version = answer.version
            record.values = [next(iter(row.values())) for row in answer.predictions]
            return
        problem = _problem.decode(reply.body)
    except (msgspec.DecodeError, StopIteration) as error:
        record.problem = f"cannot be read: {error}"
        return
    if reply.content_type != "application/problem+json" or problem.status != reply.status:
        record.problem = "not a problem document"
    else:
        record.problem = problem.type.rpartition(":")[2]


async def _main() -> list[Record]:
    source = sys.stdin.fileno()
    (length,) = struct.unpack(">I", sys.stdin.buffer.read(4))
    driver = Driver(msgspec.msgpack.decode(sys.stdin.buffer.read(length), type=Plan))
    loop = asyncio.get_running_loop()

    def told() -> None:  # nothing more is ever written, so it can only be closed
        driver.told = True
        loop.remove_reader(source)

    loop.add_reader(source, told)
    await driver.run()
    return driver.records


if __name__ == "__main__":
    found = msgspec.msgpack.encode(uvloop.run(_main()))
    # Not sys.stdout.buffer: with PYTHONUNBUFFERED that is the bare file, and may write a part only.
    with open(sys.stdout.fileno(), "wb", closefd=False) as output:
        output.write(found)
