"""Whole comparisons by tests: a gateway in front of a faulty server, and options that are small."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from loadtests.compare.comparison import Comparison
from loadtests.compare.load.driver import carry_out
from loadtests.compare.load.plan import Outcome, Plan
from loadtests.compare.options import Options
from loadtests.compare.progress import Silent
from loadtests.compare.results import Machine, Results
from loadtests.compare.stage import find_model
from loadtests.compare.subjects import ask_offer
from tests.chaos.models import weight_change
from tests.chaos.stage import Front, Stage
from tests.loadtests.compare.faulty import Faulty

MACHINE = Machine(processor="x", cores=2, memory_gb=4, system="x", python="x")
#: Hardly any speed: what is looked at is something else.
BRIEF: dict[str, Any] = {
    "rows": 200,
    "rounds": 1,
    "seconds": 0.1,
    "clients": (1,),
    "batches": (),
    "rates": (),
    "direct": False,
    "cold_starts": 0,
}
#: Enough rounds for intervals.
DECIDING: dict[str, Any] = BRIEF | {"rounds": 6, "seconds": 0.3}


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    """A stage with the weight-change model on it, its PyTorch lineage alone; it is cleared."""
    stage = Stage(folder)
    lineages = {"pytorch": "pytorch.onnx"}
    weight_change(stage.repository, "onnx", "torchserve", onnx_lineages=lineages)
    try:
        yield stage
    finally:
        await stage.end()


@asynccontextmanager
async def against(folder: Path, fault: str, stand_in: str | None = None) -> AsyncIterator[Front]:
    """A gateway that takes a server with this fault for its TorchServe; see :mod:`.faulty`."""
    async with staged(folder) as stage:
        served = stage.repository / "weight-change" / "1"
        server = Faulty(folder / "faulty", served, fault, stand_in)
        await stage.start(server)
        yield await stage.front(
            required_backends="onnx,torchserve",
            torchserve_url=server.url,
            torchserve_management_url=server.url,
        )


class WarmDriver:
    """:func:`loadtests.compare.load.load.drive` by a process of ``driver`` instead of a new one."""

    def __init__(self, driver: Executor) -> None:
        self._driver = driver

    async def drive(self, plan: Plan, core: int | None) -> Outcome:
        """Carry out a plan; ``core`` is for the whole machine."""
        assert core is None
        packed = msgspec.msgpack.encode(plan)
        loop = asyncio.get_running_loop()
        done = await loop.run_in_executor(self._driver, _carry_out_packed, packed)
        return msgspec.msgpack.decode(done, type=Outcome)


def _carry_out_packed(plan: bytes) -> bytes:
    """What the load generator's process does between reading and writing."""
    return msgspec.msgpack.encode(uvloop.run(carry_out(msgspec.msgpack.decode(plan, type=Plan))))


async def compared(url: str, repository: Path | None, **given: Any) -> Results:
    """What a comparison of the gateway at ``url`` finds, with these options."""
    options = Options(**given)
    offer = await ask_offer(url, options.model, options.version, options.backends)
    version = None if repository is None else find_model(repository, options.model)
    return await Comparison(offer, options, version, MACHINE, Silent()).run()
