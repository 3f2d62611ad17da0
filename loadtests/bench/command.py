"""A command run to its end, and never left behind."""

from __future__ import annotations

from asyncio.subprocess import Process


async def output_of(process: Process) -> bytes:
    """What it prints until it ends; it is killed where the caller is cancelled meanwhile."""
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output
