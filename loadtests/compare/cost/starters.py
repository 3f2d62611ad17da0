"""Servers started to be timed, and who asks each for its first prediction."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import msgspec

from gateway import client
from gateway.backends import ADAPTERS
from gateway.backends.base import Call, Target
from gateway.config import Settings
from serving.launch import Gateway, Server, TFServing, TorchServe
from serving.launch.ports import free_port
from serving.launch.process import Command
from serving.launch.torchserve import TorchServePorts

#: An adapter's settings that say where its server is.
_ADDRESS = "_url"


class Asker(Protocol):
    """Who asks a server for a prediction of the manifest's example."""

    async def load(self) -> None:
        """Make ready what asking needs; the server need not run yet."""

    async def ask(self, seconds: float) -> None:
        """Ask once; raises :class:`gateway.errors.GatewayError` unless a prediction comes."""

    async def stand_in(self) -> str | None:
        """The stand-in that answers, if one does; asked once the server has predicted."""

    async def close(self) -> None:
        """Close connections."""


class AdapterAsker:
    """Asks a backend's own server as the gateway would."""

    def __init__(self, target: Target, settings: Settings) -> None:
        self._target = target
        self._backend = ADAPTERS[target.backend].from_settings(settings)
        self._rows = target.model.validator.convert([target.model.manifest.example])

    async def load(self) -> None:
        """Load the adapter's preprocessing."""
        await self._backend.load(self._target)

    async def ask(self, seconds: float) -> None:
        """One row."""
        await self._backend.predict(self._target, self._rows, Call.within(seconds))

    async def stand_in(self) -> str | None:
        """What the server's health check says."""
        return (await self._backend.check(self._target, Call.within(5))).stand_in

    async def close(self) -> None:
        """Close the adapter's session."""
        await self._backend.close()


class DoorAsker:
    """Asks a gateway at its door."""

    def __init__(self, target: Target, url: str) -> None:
        self._url = url
        self._body = json.dumps(target.model.manifest.example).encode()
        self._query = {
            "backend": target.backend,
            "lineage": target.lineage,
            "model": target.model.name,
            "version": target.model.version,
        }

    async def load(self) -> None:
        """Nothing to load."""

    async def ask(self, seconds: float) -> None:
        """One row; the client has its own deadline."""
        await client.predict(self._url, self._body, self._query)

    async def stand_in(self) -> str | None:
        """Nothing stands in for the gateway."""
        return None

    async def close(self) -> None:
        """Nothing to close."""


class LoneGateway(Gateway):
    """A gateway that sees neither this machine's settings nor any server of its own."""

    def __init__(self, run_dir: Path, repository: Path) -> None:
        super().__init__(run_dir, repository, [], port=0)

    async def prepare(self) -> Command:
        command = await super().prepare()
        unset = dict.fromkeys((name for name in os.environ if name.startswith("GATEWAY_")), "")
        nobody = f"http://127.0.0.1:{free_port()}"
        addresses = {
            f"GATEWAY_{field.name.upper()}": nobody
            for field in msgspec.structs.fields(Settings)
            if field.name.endswith(_ADDRESS)
        }
        addresses["GATEWAY_BACKEND_URLS"] = ",".join(f"{name}={nobody}" for name in ADAPTERS)
        return replace(
            command,
            environment=unset | addresses | dict(command.environment),
            folder=self.run_dir,  # where no gateway.yaml lies
        )


@dataclass(frozen=True, slots=True)
class Starter:
    """How a server is started; ``backend`` is who answers in the manifest's words."""

    backend: str
    make: Callable[[Path, Target], tuple[Server, Asker]]


def _gateway(folder: Path, target: Target) -> tuple[Server, Asker]:
    server = LoneGateway(folder, _model(target))
    return server, DoorAsker(target, server.url)


def _torchserve(folder: Path, target: Target) -> tuple[Server, Asker]:
    server = TorchServe(folder, _model(target), TorchServePorts(0, 0, 0, 0, 0))
    settings = Settings(torchserve_url=server.url, torchserve_management_url=server.management_url)
    return server, AdapterAsker(target, settings)


def _tfserving(folder: Path, target: Target) -> tuple[Server, Asker]:
    server = TFServing(folder, _model(target), 0, grpc_port=0)
    return server, AdapterAsker(target, Settings(tfserving_url=server.url))


def _model(target: Target) -> Path:
    """The model's folder, which is a repository of its own."""
    return target.model.folder.parent


#: By the server's name.
STARTERS: Mapping[str, Starter] = {
    "gateway": Starter("onnx", _gateway),
    "torchserve": Starter("torchserve", _torchserve),
    "tfserving": Starter("tfserving", _tfserving),
}
