"""TensorFlow Serving: the real one where there is one, else the stand-in, which says so."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from serving.launch.environment import python_path
from serving.launch.errors import LaunchError
from serving.launch.ports import free_ports
from serving.launch.process import Command, Server, get_json
from serving.launch.repository import saved_models

Engine = Literal["binary", "container", "stand-in"]

IMAGE = "tensorflow/serving"
_BINARY = "tensorflow_model_server"
#: Name of the file that lists the models.
CONFIG = "models.config"
#: Where the models lie inside the container.
_MOUNT = "/models"
_DOCKER_TIMEOUT_S = 20


class TFServing(Server):
    """TensorFlow Serving's REST and gRPC interfaces with every SavedModel of ``repository``.

    ``engine`` is chosen at the start unless it is given: ``tensorflow_model_server`` on PATH, else
    a container if a Docker engine answers and has ``image`` (nothing is ever pulled), else the
    stand-in. ``port`` and ``grpc_port`` 0 take free ones. All listen on 127.0.0.1, except the
    binary, which has no option for that.
    """

    name = "tfserving"

    def __init__(
        self,
        run_dir: Path,
        repository: Path,
        port: int = 8501,
        engine: Engine | None = None,
        image: str = IMAGE,
        grpc_port: int = 8500,
    ) -> None:
        super().__init__(run_dir)
        self._repository = repository.resolve()
        free, free_grpc = free_ports(2)
        self._port = port or free
        self._grpc_port = grpc_port or free_grpc
        self._engine = engine
        self._image = image
        self._models: list[str] = []
        self._container = f"gateway-tfserving-{os.getpid()}-{self._port}"
        self.detail = "TensorFlow Serving"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def grpc_url(self) -> str:
        """The address of the gRPC interface, ``grpc://host:port``."""
        return f"grpc://127.0.0.1:{self._grpc_port}"

    @property
    def stand_in(self) -> bool:
        return self._engine == "stand-in"

    @property
    def ports(self) -> Mapping[str, int]:
        return {"TensorFlow Serving REST": self._port, "TensorFlow Serving gRPC": self._grpc_port}

    async def prepare(self) -> Command:
        if self._engine is None:
            self._engine = await asyncio.to_thread(choose_engine, self._image)
        base = (self.run_dir / "tf").resolve()
        # Links do not reach out of a container, so it gets copies.
        lay_out(saved_models(self._repository), base, copy=self._engine == "container")
        self._models = model_folders(base)
        if self._engine == "binary":
            return self._binary(base)
        if self._engine == "container":
            return self._docker(base)
        return self._stand_in(base)

    def _binary(self, base: Path) -> Command:
        self.detail = _BINARY
        write_config(base, str(base))
        arguments = [f"--rest_api_port={self._port}", f"--port={self._grpc_port}"]
        return Command([_BINARY, *arguments, f"--model_config_file={base / CONFIG}"])

    def _docker(self, base: Path) -> Command:
        self.detail = f"container {self._image}"
        write_config(base, _MOUNT)
        options = [
            f"--name={self._container}",
            f"--publish=127.0.0.1:{self._port}:8501",
            f"--publish=127.0.0.1:{self._grpc_port}:8500",
            f"--volume={base}:{_MOUNT}:ro",
        ]
        server = [self._image, f"--model_config_file={_MOUNT}/{CONFIG}"]
        return Command(["docker", "run", "--rm", "--pull=never", *options, *server])

    def _stand_in(self, base: Path) -> Command:
        self.detail = "stand-in, not TensorFlow Serving"
        needed = ("tensorflow", "tensorflow_serving", "grpc")
        if any(importlib.util.find_spec(package) is None for package in needed):
            raise LaunchError(
                f"there is no TensorFlow Serving here ({_BINARY} on PATH, or the image"
                f" {self._image} in a Docker engine), and its stand-in needs TensorFlow and"
                " gRPC: pip install '.[tfserving]' (or leave it out: --no-tfserving)"
            )
        models = [f"--model={name}={base / name}" for name in self._models]
        arguments = [f"--rest_api_port={self._port}", f"--port={self._grpc_port}"]
        command = [sys.executable, "-m", "serving.standin", *arguments, *models]
        return Command(command, python_path())

    async def probe(self) -> bool:
        for name in self._models:
            status, document = await get_json(f"{self.url}/v1/models/{name}")
            if status != 200 or not _is_available(document):
                return False
        return True

    async def terminate(self) -> None:
        # The client on this side passes signals on, but the container's first process ignores them.
        if self._engine == "container":
            await asyncio.to_thread(_remove_container, self._container)
        await super().terminate()

    def kill(self) -> None:
        if self._engine == "container":
            _remove_container(self._container)
        super().kill()


def _is_available(document: object) -> bool:
    """Whether a model status reply lists a version that is AVAILABLE."""
    try:
        states = [one["state"] for one in document["model_version_status"]]  # type: ignore[index]
    except (LookupError, TypeError):
        return False
    return "AVAILABLE" in states


def choose_engine(image: str = IMAGE) -> Engine:
    """What there is on this machine: the binary, a container image, or only the stand-in."""
    if shutil.which(_BINARY) is not None:
        return "binary"
    if shutil.which("docker") is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            # Fails without an engine, too.
            inspected = subprocess.run(
                ["docker", "image", "inspect", image],
                capture_output=True,
                check=False,
                timeout=_DOCKER_TIMEOUT_S,
            )
            if inspected.returncode == 0:
                return "container"
    return "stand-in"


def _remove_container(name: str) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            ["docker", "rm", "--force", name],
            capture_output=True,
            check=False,
            timeout=_DOCKER_TIMEOUT_S,
        )


def lay_out(models: Mapping[str, Mapping[str, Path]], base: Path, *, copy: bool) -> None:
    """Write ``base/<model>/<version>``, links to the SavedModels or copies of them."""
    shutil.rmtree(base, ignore_errors=True)
    for name, exported in models.items():
        folder = base / name
        folder.mkdir(parents=True)
        for version, saved_model in exported.items():
            if copy:
                shutil.copytree(saved_model, folder / version)
            else:
                (folder / version).symlink_to(saved_model, target_is_directory=True)


def model_folders(base: Path) -> list[str]:
    """The models laid out below ``base``."""
    return sorted(entry.name for entry in base.iterdir() if entry.is_dir())


def write_config(base: Path, seen_as: str, policy: str = "") -> None:
    """List the models of ``base`` in its ``models.config``, ``model_server_config.proto`` as text.

    ``seen_as`` is ``base`` in the server's eyes, ``policy`` a ``model_version_policy`` for each;
    without one the server takes the newest version.
    """
    entries = "".join(
        f'  config {{ name: "{name}" base_path: "{seen_as}/{name}"'
        f' model_platform: "tensorflow"{policy and " " + policy} }}\n'
        for name in model_folders(base)
    )
    # At once: a running server may be reading it.
    written = base / f".{CONFIG}"
    written.write_text(f"model_config_list {{\n{entries}}}\n", encoding="utf-8")
    written.replace(base / CONFIG)
