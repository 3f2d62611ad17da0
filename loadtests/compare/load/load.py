"""Load from a process of its own, so that neither the comparison nor the servers slow it down."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
import sys

import msgspec

from loadtests.bench.cores import on_core
from loadtests.compare.errors import CompareError
from loadtests.compare.load.plan import Outcome, Plan
from serving.launch.environment import python_path

#: Seconds for starting the driver, connecting, and writing what it found.
_SPARE_S = 60.0


async def drive(plan: Plan, core: int | None = None) -> Outcome:
    """Carry out a plan from its beginning to its end, on ``core`` alone where one is given.

    The driver is killed when this is cancelled. Raises :class:`CompareError` where the driver
    fails; that the server does not answer is no failure but an outcome.
    """
    try:
        with contextlib.nullcontext() if core is None else on_core(core):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "loadtests.compare.load.driver"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=os.environ | python_path(),
            )
    except OSError as error:
        raise CompareError(f"the load generator cannot be started: {error}") from error
    told = msgspec.msgpack.encode(plan)
    try:
        async with asyncio.timeout(plan.warmup_s + plan.seconds + plan.give_up_s + _SPARE_S):
            output, words = await process.communicate(struct.pack(">I", len(told)) + told)
    except TimeoutError:
        raise CompareError("the load generator did not come to an end") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        last = words.decode(errors="replace").strip().rpartition("\n")[2]
        raise CompareError(f"the load generator failed: {last or f'exit {process.returncode}'}")
    try:
        return msgspec.msgpack.decode(output, type=Outcome)
    except msgspec.DecodeError as error:
        raise CompareError(f"what the load generator found cannot be read: {error}") from error
