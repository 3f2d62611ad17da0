"""The stack as tests drive it: a Swarm of one node, and what runs of the stack."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import requests

from tests.compose.composition import TAG, environment, wait_for
from tests.conftest import ROOT

FRONT = f"serving-front:{TAG}"
REPLICAS = 3


@dataclass(frozen=True)
class Stack:
    """``docker stack deploy`` of ``compose/stack.yaml`` under a name of its own."""

    name: str
    port: int

    @property
    def url(self) -> str:
        """Where the front listens."""
        return f"http://127.0.0.1:{self.port}"

    def deploy(self, models: Path) -> None:
        """Have the stack serve this repository; the command is the same for an update."""
        variables = {
            "MODELS": str(models),
            "PORT": str(self.port),
            "IMAGE_TAG": TAG,
            "FRONT_IMAGE": FRONT,
            "STACK": self.name,
            "UPDATE_MONITOR": "2s",
        }
        run(
            *("stack", "deploy", "--resolve-image", "never"),
            *("--compose-file", "compose/stack.yaml", self.name),
            **variables,
        )

    @property
    def service(self) -> Any:
        """The gateway's service, as it is now."""
        return docker.from_env().services.get(f"{self.name}_gateway")

    @property
    def update(self) -> str:
        """What has become of the last update: ``updating``, ``completed``, ``rollback_…``."""
        return str(self.service.attrs.get("UpdateStatus", {}).get("State", ""))

    @property
    def running(self) -> int:
        """How many replicas run and are healthy: a task runs from its first good check on."""
        tasks = self.service.tasks(filters={"desired-state": "running"})
        return sum(task["Status"]["State"] == "running" for task in tasks)

    def replicas(self) -> list[Any]:
        """The containers of the gateway that run."""
        mine = {"label": f"com.docker.swarm.service.name={self.name}_gateway"}
        return list(docker.from_env().containers.list(filters=mine, ignore_removed=True))

    def each_has_answered(self) -> bool:
        """Whether the front has given each replica a request, this one perhaps."""
        self.version()
        return all(_answered(replica) for replica in self.replicas())

    def version(self) -> str | None:
        """The version of the model that answers a client of the front; None where none does."""
        try:
            answer = requests.get(f"{self.url}/v1/models/weight-change", timeout=5)
        except requests.RequestException:
            return None
        return max(answer.json()["versions"]) if answer.ok else None

    def remove(self) -> None:
        """Take the stack down; returns when nothing of it is left."""
        run("stack", "rm", self.name)
        mine = {"label": f"com.docker.stack.namespace={self.name}"}
        engine = docker.from_env()
        wait_for(lambda: not engine.networks.list(filters=mine), 60)
        # A container may go while the list is made.
        containers = engine.containers
        wait_for(lambda: not containers.list(all=True, filters=mine, ignore_removed=True), 60)


def _answered(replica: Any) -> bool:
    """Whether a client has asked the replica for a model, as its own metrics tell."""
    script = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9000/metrics').read())"
    status, output = replica.exec_run(["python", "-c", script])
    return status == 0 and b'door="/v1/models/{' in output


@contextmanager
def swarm() -> Iterator[None]:
    """This engine as a Swarm of one node that listens on the loopback only."""
    loopback = "127.0.0.1"
    run("swarm", "init", "--advertise-addr", loopback, "--listen-addr", f"{loopback}:2377")
    try:
        yield
    finally:
        run("swarm", "leave", "--force")


def run(*arguments: str, **variables: str) -> None:
    """``docker …`` in the repository's top folder; the test fails where it does."""
    done = subprocess.run(
        ["docker", *arguments],
        cwd=ROOT,
        env=environment() | variables,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
