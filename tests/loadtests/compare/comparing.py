"""Whole comparisons by tests: a gateway in front of a faulty server, and options that are small."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from loadtests.compare.comparison import Comparison
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


async def compared(url: str, repository: Path | None, **given: Any) -> Results:
    """What a comparison of the gateway at ``url`` finds, with these options."""
    options = Options(**given)
    offer = await ask_offer(url, options.model, options.version, options.backends)
    version = None if repository is None else find_model(repository, options.model)
    return await Comparison(offer, options, version, MACHINE, Silent()).run()
