"""How long a server takes from the start of its process to its first prediction."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from gateway.backends.base import Target
from gateway.errors import GatewayError
from gateway.models.repository import ModelVersion
from loadtests.compare.cost.starters import STARTERS, Asker, Starter
from loadtests.compare.errors import CompareError
from loadtests.compare.results import Figure, figure_id
from serving.launch import LaunchError, Server

#: Seconds between the starts of two questions; one at a time.
_EVERY_S = 0.01
_READY_S = 120.0


async def first_prediction(
    server: str,
    version: ModelVersion,
    times: int = 3,
    ready_s: float = _READY_S,
    starters: Mapping[str, Starter] = STARTERS,
) -> Figure:
    """Seconds from a server's process to its first prediction: the median of ``times`` starts.

    Each start is a server of its own on free ports in a folder of its own, with this model alone,
    and it is stopped afterwards. What it reads from the disk may be in memory from the start
    before. None where it cannot be started, or does not answer within ``ready_s`` seconds.
    """
    stand_in: str | None = None
    taken: list[float] = []
    remark = ""
    try:
        starter = starters.get(server)
        if starter is None:
            raise CompareError(f"not applicable: nothing here starts a {server}")
        target = _target(version, starter.backend)
        for _ in range(times):
            seconds, stand_in = await _start(starter, target, ready_s)
            taken.append(seconds)
        remark = f"lowest–highest of {times} starts"
    except (CompareError, GatewayError) as error:
        remark = _first_line(error.detail if isinstance(error, GatewayError) else str(error))
    except LaunchError as error:
        remark = _first_line(error.message)
    whole = len(taken) == times > 0
    return Figure(
        id=figure_id("cost", server, "first_prediction"),
        what=f"from the start of {server} to its first prediction",
        value=statistics.median(taken) if whole else None,
        unit="s",
        low=min(taken) if whole else None,
        high=max(taken) if whole else None,
        stand_in=stand_in,
        remark=remark,
    )


async def _start(starter: Starter, target: Target, ready_s: float) -> tuple[float, str | None]:
    """Seconds of one start, and the stand-in that answered, if one did."""
    with tempfile.TemporaryDirectory(prefix="cold-") as folder:
        server, asker = starter.make(Path(folder), target)
        try:
            await asker.load()
            await server.start()
            # Its folder has been prepared and its process begun: the clock starts.
            return await _first_answer(server, asker, ready_s), await asker.stand_in()
        finally:
            await server.stop()
            await asker.close()


async def _first_answer(server: Server, asker: Asker, ready_s: float) -> float:
    started = time.perf_counter()
    while True:
        asked = time.perf_counter()
        left = started + ready_s - asked
        try:
            await asker.ask(max(left, _EVERY_S))
        except GatewayError as error:
            if not server.running:
                ending = f"{server.name} {server.ending()} before its first prediction"
                raise LaunchError(ending, server.tail()) from error
            if left <= 0:
                late = f"{server.name} gave no prediction within {ready_s:g} s: {error.detail}"
                raise LaunchError(late, server.tail()) from error
        else:
            return time.perf_counter() - started
        await asyncio.sleep(max(0.0, asked + _EVERY_S - time.perf_counter()))


def _target(version: ModelVersion, backend: str) -> Target:
    """The first lineage of the backend."""
    spec = version.manifest.backends.get(backend)
    if spec is None:
        raise CompareError(f"not applicable: {version.name} is not served by {backend}")
    lineage, options = next(iter(spec.lineages.items()))
    return Target(backend, version, lineage, options)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
