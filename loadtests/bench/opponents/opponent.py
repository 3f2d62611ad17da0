"""What the opponents have in common."""

from __future__ import annotations

import asyncio
import os
import sys
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from loadtests.bench import programs
from loadtests.bench.environments import Environment
from loadtests.bench.programs.session import MODEL
from serving.launch import Server
from serving.launch.ports import free_port
from serving.launch.process import Command, get_json

#: The programs that run in opponents' environments.
PROGRAMS = Path(str(programs.__path__[0])).resolve()

#: Every opponent computes with the same release as the gateway.
ONNXRUNTIME = f"onnxruntime=={version('onnxruntime')}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where things are: the run's folder, the environments, the model's folder and its version."""

    run_dir: Path
    envs: Path
    repository: Path
    version: Path

    def graph(self, name: str) -> Path:
        """A file of the model's version folder."""
        return self.version / name


class Opponent(Server):
    """A server with an environment of its own (the project's, without ``requirements``)."""

    requirements: Sequence[str] = ()
    #: Path that answers 200 once a prediction can be asked for.
    ready_path: str
    #: Which of the model's graphs it serves, if any.
    graph: str | None = None
    grace_s = 5

    def __init__(self, place: Place) -> None:
        super().__init__((place.run_dir / self.name).resolve())
        self.place = place
        self.port = free_port()
        self.environment = Environment((place.envs / self.name).resolve(), self.requirements)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def python(self) -> Path:
        """The interpreter it runs with."""
        return self.environment.python if self.requirements else Path(sys.executable)

    def install(self) -> None:
        """Make its environment unless it is there; raises :class:`BenchError`."""
        if self.requirements:
            self.environment.install()

    @abstractmethod
    def arguments(self) -> Sequence[str]:
        """Write what it needs into the run folder, its working folder; the command line."""

    def variables(self) -> Mapping[str, str]:
        """Environment variables of its own."""
        return {}

    async def prepare(self) -> Command:
        variables = {
            "PYTHONPATH": str(PROGRAMS),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DO_NOT_TRACK": "1",
            "PATH": os.pathsep.join([str(self.python.parent), os.environ.get("PATH", "")]),
        }
        if self.graph is not None:
            variables[MODEL] = str(self.place.graph(self.graph).resolve())
        arguments = await asyncio.to_thread(self.arguments)
        return Command(arguments, {**variables, **self.variables()}, self.run_dir)

    async def probe(self) -> bool:
        status, _ = await get_json(self.url + self.ready_path)
        return status == 200
