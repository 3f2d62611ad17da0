"""Processes that do as they are told, and Python packages that hold nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from gateway.models.repository import ModelVersion, Repository
from tests.conftest import REPOSITORY

#: Follows its standard input, a command a line, and says "done" after each.
_PROGRAM = """
import socket, subprocess, sys, time

held, children = [], []
for line in sys.stdin:
    command, *words = line.split()
    if command == "listen":
        family = socket.AF_INET6 if ":" in words[0] else socket.AF_INET
        listening = socket.socket(family)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((words[0], int(words[1])))
        listening.listen()
        held.append(listening)
    elif command == "burn":
        end = time.process_time() + float(words[0])
        while time.process_time() < end:
            pass
    elif command == "hold":
        held.append(bytearray(b"x" * 1_000_000 * int(words[0])))
    elif command == "spawn":
        arguments = [sys.executable, *words]
        children.append(
            subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
    elif command == "tell":
        print(" ".join(words), file=children[-1].stdin, flush=True)
        children[-1].stdout.readline()
    elif command == "reap":
        children[-1].stdin.close()
        children.pop().wait()
    elif command == "churn":
        for _ in range(int(words[0])):
            subprocess.run([sys.executable, "-S", "-c", "sum(range(300_000))"])
    print("done", flush=True)
"""


class Puppet:
    """A Python process that runs ``<name>.py serve`` and what it is told."""

    def __init__(self, folder: Path, name: str = "served") -> None:
        self.script = folder / f"{name}.py"
        self.script.write_text(_PROGRAM)
        self.process = subprocess.Popen(
            [sys.executable, "-X", "utf8", str(self.script), "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def start(self, command: str) -> None:
        """Tell it something and do not wait."""
        assert self.process.stdin is not None
        print(command, file=self.process.stdin, flush=True)

    def wait(self) -> None:
        """Return when it has done what it was told."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "done\n"

    def do(self, command: str) -> None:
        """Tell it something and wait until it is done."""
        self.start(command)
        self.wait()

    def end(self) -> None:
        """Kill it and its descendants."""
        try:
            everyone = [*psutil.Process(self.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            everyone = []
        self.process.kill()
        for one in everyone:
            one.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


MakePuppet = Callable[..., Puppet]


@pytest.fixture
def make_puppet(tmp_path: Path) -> Iterator[MakePuppet]:
    """Makes puppets; they end with the test."""
    made: list[Puppet] = []

    def make(name: str = "served") -> Puppet:
        made.append(Puppet(tmp_path, name))
        return made[-1]

    yield make
    for puppet in made:
        puppet.end()


@pytest.fixture
def puppet(make_puppet: MakePuppet) -> Puppet:
    """One of them."""
    return make_puppet()


@pytest.fixture
def version() -> ModelVersion:
    """The committed model."""
    return Repository.scan(REPOSITORY).get()


MakeDistribution = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for distributions."""
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def install(site: Path) -> MakeDistribution:
    """Lays out a distribution as pip does: a file of ``size`` bytes, metadata, a record."""

    def make(name: str, size: int = 0, requires: tuple[str, ...] = (), record: str = "") -> Path:
        (site / f"{name}.bin").write_bytes(b"x" * size)
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "RECORD").write_text(f"{name}.bin,,\n{record}")
        return info

    return make
