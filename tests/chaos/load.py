"""Load from a process of its own, so that neither the test nor what it checks slows it down."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
import sys
from types import TracebackType
from typing import Self

import msgspec

from loadtests.bench.cores import on_core
from loadtests.compare.stage import two_cores
from serving.launch.environment import python_path
from tests.chaos.plan import Plan, Record

_records = msgspec.msgpack.Decoder(list[Record])
#: Seconds within which the first request must have ended, and the last after the load was told to.
_START_S, _END_S = 30.0, 60.0


class Load:
    """A plan that is being carried out; entering returns once the first request has ended.

    ``core``, where given, is the one the driver runs on. Leaving kills it, so :meth:`finish` first.
    """

    def __init__(self, plan: Plan, core: int | None = None) -> None:
        self._plan = plan
        self._core = core

    async def __aenter__(self) -> Self:
        with pinned(self._core):
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.chaos.driver"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=os.environ | python_path(),
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        plan = msgspec.msgpack.encode(self._plan)
        self._input.write(struct.pack(">I", len(plan)) + plan)
        try:
            async with asyncio.timeout(_START_S):
                await self._output.readexactly(1)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    @property
    def pid(self) -> int:
        """The driver's process id."""
        return self._process.pid

    async def finish(self) -> list[Record]:
        """Let the load end, and give what became of each request, in the order they ended."""
        self._input.close()
        async with asyncio.timeout(self._plan.seconds + self._plan.give_up_s + _END_S):
            records = _records.decode(await self._output.read())
            await self._process.wait()
        return records


async def drive(plan: Plan, core: int | None = None) -> list[Record]:
    """Carry out a plan from its beginning to its end."""
    async with Load(plan, core) as load:
        return await load.finish()


def cores() -> tuple[int, int] | tuple[None, None]:
    """A core for the gateway and one for its clients, or None where there are no two."""
    return two_cores() or (None, None)


def pinned(core: int | None) -> contextlib.AbstractContextManager[None]:
    """What is started inside runs on this core alone, or anywhere if it is None."""
    return contextlib.nullcontext() if core is None else on_core(core)
