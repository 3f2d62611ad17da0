"""A gateway and its servers, started for one comparison and stopped after it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.errors import GatewayError
from gateway.models.repository import ModelVersion, Repository
from loadtests.bench.cores import on_core
from loadtests.compare.errors import CompareError
from serving.launch import Gateway, LaunchError, Server, Supervisor, TFServing, TorchServe
from serving.launch.torchserve import TorchServePorts


def find_model(repository: Path, model: str | None, version: str | None = None) -> ModelVersion:
    """The model version in a repository; raises :class:`CompareError` where there is none."""
    try:
        return Repository.scan(repository).get(model, version)
    except (GatewayError, OSError) as error:
        words = error.detail if isinstance(error, GatewayError) else str(error)
        raise CompareError(f"{repository}: {words}") from error


def two_cores() -> tuple[int, int] | None:
    """A core for the servers and one for the load generator; None where there are no two."""
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        return None
    ours = sorted(os.sched_getaffinity(0))
    return ours[0], ours[1]


@asynccontextmanager
async def started(
    repository: Path, backends: Collection[str], core: int | None = None, ready_s: float = 120
) -> AsyncIterator[str]:
    """Start the servers of ``backends`` and the gateway on free ports; the gateway's address.

    All of them run on ``core`` alone where one is given, so that none gains by having more. Nothing
    of them is left afterwards. Raises :class:`CompareError` with the last lines of the log of one
    that does not start.
    """
    with tempfile.TemporaryDirectory(prefix="gateway-compare-") as folder:
        run_dir = Path(folder)
        servers = [make(run_dir, repository) for name, make in _SERVERS.items() if name in backends]
        gateway = Gateway(run_dir, repository, servers, port=0)
        supervisor = Supervisor([[gateway], servers], ready_s=ready_s)
        try:
            with contextlib.nullcontext() if core is None else on_core(core):
                # The affinity is inherited at the start of each process.
                await supervisor.start()
            yield gateway.url
        except LaunchError as error:
            raise CompareError(str(error)) from error
        finally:
            await asyncio.shield(supervisor.stop())


def _torchserve(run_dir: Path, repository: Path) -> Server:
    return TorchServe(run_dir, repository, TorchServePorts(0, 0, 0, 0, 0))


def _tfserving(run_dir: Path, repository: Path) -> Server:
    return TFServing(run_dir, repository, 0, grpc_port=0)


#: How the server of a backend is started; what runs inside the gateway needs none.
_SERVERS: Mapping[str, Callable[[Path, Path], Server]] = {
    "torchserve": _torchserve,
    "tfserving": _tfserving,
}
