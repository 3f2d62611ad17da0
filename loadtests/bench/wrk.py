"""Runs wrk, the load generator."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec

from loadtests.bench.command import output_of
from loadtests.bench.errors import BenchError
from loadtests.bench.samples import Sample

_SCRIPT = Path(__file__).with_name("wrk.lua")
_MARK = "RESULT "
_TIMEOUT_S = 10


def require_wrk() -> str:
    """The path of wrk; raises :class:`BenchError` saying how to install it."""
    path = shutil.which("wrk")
    if path is None:
        raise BenchError("the load generator wrk is missing; install it: apt-get install wrk")
    return path


async def run_wrk(
    url: str, bodies: Path, connections: int, seconds: float, rows: int = 1
) -> Sample:
    """POST the lines of ``bodies`` to ``url`` in turn over ``connections`` for ``seconds``.

    ``rows`` is the number of rows in each body. wrk takes whole seconds, at least one; the sample
    says how long it took. Raises :class:`BenchError` where wrk fails.
    """
    arguments = [
        f"-c{connections}",
        "-t1",
        f"-d{max(1, round(seconds))}s",
        f"--timeout={_TIMEOUT_S}s",
        f"--script={_SCRIPT}",
        url,
        "--",
        str(bodies),
    ]
    process = await asyncio.create_subprocess_exec(
        require_wrk(),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = await output_of(process)
    return parse(output.decode(errors="replace"), rows)


def parse(output: str, rows: int) -> Sample:
    """The sample in what wrk and its script have printed; raises :class:`BenchError`."""
    for line in output.splitlines():
        if line.startswith(_MARK):
            fields = msgspec.json.decode(line.removeprefix(_MARK), type=dict[str, float])
            return msgspec.convert(fields | {"rows": rows}, Sample, strict=False)
    raise BenchError(f"wrk failed: {output.strip()[-500:]}")
