"""The composition as tests drive it: the ``docker compose`` command, and what runs of it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import requests

from tests.conftest import ROOT

#: TensorFlow Serving's image cannot be pulled everywhere; its stand-in can be built.
STANDIN = ("compose.yaml", "compose/standin.yaml")
#: Nobody else's images are overwritten.
TAG = "test"
#: A build reaches the package index as this machine does.
BUILT = {"BUILD_NETWORK": "host", "IMAGE_TAG": TAG}


@dataclass(frozen=True)
class Composition:
    """One project of Docker Compose; ``variables`` are what a ``.env`` would hold."""

    project: str
    files: Sequence[str] = STANDIN
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, within: float = 120) -> str:
        """``docker compose …``: its output; the test fails where it does."""
        files = [part for file in self.files for part in ("--file", file)]
        done: subprocess.CompletedProcess[str] = subprocess.run(
            ["docker", "compose", "--project-name", self.project, *files, *arguments],
            cwd=ROOT,
            env=environment() | BUILT | self.variables,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout[-3000:]}{done.stderr[-5000:]}"
        return done.stdout

    @property
    def url(self) -> str:
        """Where the gateway is published."""
        return f"http://127.0.0.1:{self.variables['PORT']}"

    def predict(self, body: Any, **query: str) -> requests.Response:
        """``POST /v1/predict`` with a JSON body."""
        return requests.post(f"{self.url}/v1/predict", json=body, params=query, timeout=30)

    def container(self, service: str) -> Any:
        """The service's only container, as it is now."""
        (found,) = self.containers(service)
        return found

    def containers(self, service: str | None = None) -> list[Any]:
        """The project's containers, also those that do not run."""
        labels = [f"com.docker.compose.project={self.project}"]
        if service is not None:
            labels.append(f"com.docker.compose.service={service}")
        return list(docker.from_env().containers.list(all=True, filters={"label": labels}))

    def leftovers(self) -> list[Any]:
        """Containers, networks and volumes of the project."""
        engine = docker.from_env()
        mine = {"label": f"com.docker.compose.project={self.project}"}
        others = (engine.networks, engine.volumes)
        return [*self.containers(), *(one for kind in others for one in kind.list(filters=mine))]


def environment() -> dict[str, str]:
    """This process's own, without variables that would change the composition."""
    taken = ("COMPOSE_", "GATEWAY_", "TORCHSERVE_", "TFSERVING_", "PORT", "MODELS")
    return {name: value for name, value in os.environ.items() if not name.startswith(taken)}


def wait_for(what: Callable[[], bool], within: float, said: Callable[[], str] = lambda: "") -> None:
    """Return once it is so; the test fails, with what is ``said``, where it takes more seconds."""
    deadline = time.monotonic() + within
    while not what():
        assert time.monotonic() < deadline, f"not within {within} s {said()}"
        time.sleep(0.5)


def readable(folder: Path) -> None:
    """Let the containers' user, who is not ours, read everything in the folder."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def health(container: Any) -> str:
    """``starting``, ``healthy`` or ``unhealthy``, as the engine says now."""
    container.reload()
    return str(container.attrs["State"].get("Health", {}).get("Status", "none"))


def kill(container: Any) -> None:
    """SIGKILL to the container's first process, from outside as the kernel would.

    ``docker kill`` counts as a wish to stop it, after which the engine does not start it again. The
    signal is sent by a container that sees the host's processes, so that the tests need no root.
    """
    container.reload()
    pid = container.attrs["State"]["Pid"]
    docker.from_env().containers.run(
        container.image.id,
        ["-c", f"import os; os.kill({pid}, 9)"],
        entrypoint=["python"],
        pid_mode="host",
        user="0",
        network_mode="none",
        remove=True,
    )
