"""The real TorchServe, its Java server started directly.

Through its Python launcher a SIGTERM would orphan the server; the command line below is the one
that launcher (``ts/model_server.py``, 0.12.0) puts together.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from serving.launch.errors import LaunchError
from serving.launch.ports import free_ports
from serving.launch.process import Command, Server, get_json
from serving.launch.properties import read_properties, write_properties
from serving.launch.repository import Archive, archives
from serving.launch.requirements import find_java, find_torchserve

_LOG_CONFIG = Path(__file__).with_name("log4j2.xml")
#: Room a Unix socket's path has (104 on macOS, 108 on Linux), less TorchServe's ``/.ts.sock.9000``.
_MAX_TEMP_PATH = 85
#: For archives without an entry under ``models`` in the configuration.
_MODEL_SETTINGS: dict[str, Any] = {
    "minWorkers": 1,
    "maxWorkers": 1,
    "batchSize": 16,
    "maxBatchDelay": 1,
    "responseTimeout": 10,
}


@dataclass(frozen=True, slots=True)
class TorchServePorts:
    """TCP ports, all on 127.0.0.1; 0 takes a free one."""

    inference: int = 8080
    management: int = 8081
    metrics: int = 8082
    grpc_inference: int = 7070
    grpc_management: int = 7071

    def resolved(self) -> TorchServePorts:
        """The same with free ports in the place of zeros."""
        given = astuple(self)
        found = free_ports(len(given))
        return TorchServePorts(*(port or free for port, free in zip(given, found, strict=True)))


class TorchServe(Server):
    """TorchServe with the archives of the newest version of every model in ``repository``.

    ``config`` is the configuration file whose addresses are overridden, by default the
    ``config.properties`` of the current folder or else of the source tree. A repository without
    archives is an error, unless none is ``required``: then TorchServe runs and serves nothing.
    """

    name = "torchserve"

    def __init__(
        self,
        run_dir: Path,
        repository: Path,
        ports: TorchServePorts = TorchServePorts(),
        config: Path | None = None,
        required: bool = True,
    ) -> None:
        super().__init__(run_dir)
        self._repository = repository.resolve()
        self._ports = ports.resolved()
        self._config = config
        self._required = required
        self._archives: list[Archive] = []
        self._short_temp: Path | None = None
        self.detail = "TorchServe"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports.inference}"

    @property
    def management_url(self) -> str:
        """The management interface, where models are loaded and their state is told."""
        return f"http://127.0.0.1:{self._ports.management}"

    @property
    def serves(self) -> list[str]:
        """The names of the models it was given by :meth:`prepare`."""
        return [archive.name for archive in self._archives]

    @property
    def metrics_url(self) -> str:
        """Where Prometheus finds the metrics, at ``/metrics``."""
        return f"http://127.0.0.1:{self._ports.metrics}"

    @property
    def ports(self) -> Mapping[str, int]:
        return {
            "TorchServe inference": self._ports.inference,
            "TorchServe management": self._ports.management,
            "TorchServe metrics": self._ports.metrics,
            "TorchServe gRPC inference": self._ports.grpc_inference,
            "TorchServe gRPC management": self._ports.grpc_management,
        }

    async def prepare(self) -> Command:
        java = await asyncio.to_thread(find_java)
        home = find_torchserve()
        self._archives = archives(self._repository, required=self._required)
        folder = self.run_dir / self.name
        store, logs = folder / "store", folder / "logs"
        shutil.rmtree(store, ignore_errors=True)
        for path in (store, logs):
            path.mkdir(parents=True, exist_ok=True)
        for archive in self._archives:
            _link(archive.path, store / archive.path.name)
        temp = self._temp_folder(folder)
        config = self._write_config(folder)
        arguments = [
            java,
            f"-Dmodel_server_home={home}",
            f"-Dlog4j.configurationFile={_LOG_CONFIG.as_uri()}",
            f"-Djava.io.tmpdir={temp}",
            "-cp",
            str(home / "ts" / "frontend" / "*"),
            "org.pytorch.serve.ModelServer",
            "--python",
            sys.executable,
            "-f",
            str(config),
            "-s",
            str(store),
            "-ncs",
        ]
        environment = {
            "LOG_LOCATION": str(logs),
            "METRICS_LOCATION": str(logs),
            "TMPDIR": str(temp),
            "TEMP": str(temp),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        }
        return Command(arguments, environment, folder)

    def _temp_folder(self, folder: Path) -> Path:
        """Where Java unpacks archives and the workers' Unix sockets lie."""
        temp = folder / "tmp"
        if len(os.fsencode(temp)) > _MAX_TEMP_PATH:
            if self._short_temp is None:
                self._short_temp = Path(tempfile.mkdtemp(prefix="ts-"))
            return self._short_temp
        temp.mkdir(exist_ok=True)
        return temp

    def _write_config(self, folder: Path) -> Path:
        """The configuration with this launch's addresses and an entry for every archive."""
        settings = read_properties(self._config or default_config())
        settings |= {
            "inference_address": self.url,
            "management_address": self.management_url,
            "metrics_address": self.metrics_url,
            "grpc_inference_port": str(self._ports.grpc_inference),
            "grpc_management_port": str(self._ports.grpc_management),
        }
        given = json.loads(settings.get("models", "{}"))
        settings["models"] = json.dumps(
            {
                archive.name: {
                    archive.version: {
                        **_MODEL_SETTINGS,
                        **given.get(archive.name, {}).get(archive.version, {}),
                        "defaultVersion": True,
                        "marName": archive.path.name,
                    }
                }
                for archive in self._archives
            }
        )
        config = folder / "config.properties"
        write_properties(config, settings)
        return config

    async def probe(self) -> bool:
        # `/ping` says Healthy before the workers are, and while they fail to load.
        for archive in self._archives:
            status, models = await get_json(f"{self.management_url}/models/{archive.name}")
            if status != 200 or not _has_ready_worker(models):
                return False
        return True

    async def stop(self) -> None:
        await super().stop()
        if self._short_temp is not None:
            shutil.rmtree(self._short_temp, ignore_errors=True)
            self._short_temp = None


def _has_ready_worker(models: Any) -> bool:
    """Whether a reply to ``GET /models/NAME`` lists a worker that is READY."""
    try:
        return any(worker["status"] == "READY" for worker in models[0]["workers"])
    except (LookupError, TypeError):
        return False


def _link(source: Path, target: Path) -> None:
    """A hard link where the file system allows it, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def default_config() -> Path:
    """The ``config.properties`` of the current folder, else the one of the source tree."""
    for folder in (Path.cwd(), Path(__file__).parents[2]):
        if (folder / "config.properties").is_file():
            return folder / "config.properties"
    raise LaunchError(
        "there is no config.properties for TorchServe here; run it in the source tree"
    )
