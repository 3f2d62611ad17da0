"""The engine alone: ``session.run`` in a loop on the servers' core."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from loadtests.bench.command import output_of
from loadtests.bench.cores import on_core
from loadtests.bench.errors import BenchError
from loadtests.bench.opponents.opponent import PROGRAMS
from loadtests.bench.samples import Sample

_WARM_S = 1


async def run_bare(model: Path, tensor: Path, threads: int, seconds: float, core: int) -> Sample:
    """Run the model's only input, the array in ``tensor``, over and over; a run is a request.

    Raises :class:`BenchError` where that fails.
    """
    script = str(PROGRAMS / "session_loop.py")
    arguments = [str(model), str(tensor), str(threads), str(_WARM_S), str(seconds)]
    with on_core(core):
        process = await asyncio.create_subprocess_exec(
            sys.executable, script, *arguments, stdout=asyncio.subprocess.PIPE
        )
    output = await output_of(process)
    if process.returncode != 0:
        raise BenchError("the bare session.run loop failed")
    return msgspec.json.decode(output, type=Sample)
