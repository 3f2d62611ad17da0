"""A real TorchServe, and a gateway before it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from serving.launch.torchserve import TorchServe, TorchServePorts
from tests.conftest import ROOT, Client, MakeClient


@asynccontextmanager
async def live(
    folder: Path, repository: Path, make_client: MakeClient
) -> AsyncIterator[tuple[TorchServe, Client]]:
    """The server, which runs in ``folder`` with the repository's archives, and the gateway."""
    ports = TorchServePorts(0, 0, 0, 0, 0)
    server = TorchServe(folder, repository, ports, ROOT / "config.properties")
    try:
        await server.start()
        await server.wait_ready(120)
        client = await make_client(
            repository,
            torchserve_url=server.url,
            torchserve_management_url=server.management_url,
        )
        yield server, client
    finally:
        await server.stop()
