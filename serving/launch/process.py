"""A server as a child process: start, readiness, end; the base of every launcher."""

from __future__ import annotations

import asyncio
import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiohttp

from serving.launch import groups
from serving.launch.errors import LaunchError
from serving.launch.ports import require_free

State = Literal["stopped", "starting", "ready", "stopping", "died"]

#: Lines of the log that go into an error message.
_TAIL_LINES = 30
_TAIL_BYTES = 16_384
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. ``environment`` is added to this process's own; ``folder`` None keeps it."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A server's state, for people and tests.

    ``detail`` says what it is, ``problem`` why it ended last, "" while nothing is wrong.
    """

    name: str
    state: State
    url: str
    pid: int | None
    stand_in: bool
    detail: str
    problem: str
    restarts: int


class Server(ABC):
    """A server in a session of its own, so that no signal of the terminal reaches it.

    Its output goes to ``<run_dir>/<name>.log``. A subclass gives the command, the ports to check
    beforehand and the readiness probe. After :meth:`stop` a server can be started again.
    """

    name: str = "server"
    #: Seconds between SIGTERM and SIGKILL.
    grace_s: float = 10

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.state: State = "stopped"
        self.detail = ""
        self.problem = ""
        self.restarts = 0
        self._process: asyncio.subprocess.Process | None = None
        self._log_start = 0

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients reach it, ``http://host:port``."""

    @property
    def stand_in(self) -> bool:
        """Whether this only stands in for the server it is named after."""
        return False

    @property
    def ports(self) -> Mapping[str, int]:
        """The ports it will listen on, by what they are for."""
        return {}

    @abstractmethod
    async def prepare(self) -> Command:
        """Write what the server needs into the run folder; raises :class:`LaunchError`."""

    @abstractmethod
    async def probe(self) -> bool:
        """Whether it answers requests now."""

    @property
    def pid(self) -> int | None:
        """Process id, which is also the id of its group; None when it was never started."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process started last is alive."""
        return self._process is not None and self._process.returncode is None

    @property
    def log(self) -> Path:
        """The file its output goes to."""
        return self.run_dir / f"{self.name}.log"

    def describe(self) -> ServerInfo:
        """The state at this moment."""
        pid = self.pid if self.running else None
        return ServerInfo(
            name=self.name,
            state=self.state,
            url=self.url,
            pid=pid,
            stand_in=self.stand_in,
            detail=self.detail,
            problem=self.problem,
            restarts=self.restarts,
        )

    async def start(self) -> None:
        """Start the process; it is not ready yet. Raises :class:`LaunchError`."""
        if self.running:
            raise LaunchError(f"{self.name} is running already")
        self.state = "starting"
        try:
            self.run_dir.mkdir(parents=True, exist_ok=True)
            for purpose, port in self.ports.items():
                require_free(port, purpose)
            await self._spawn(await self.prepare())
        except LaunchError:
            self.state = "died"
            raise

    async def _spawn(self, command: Command) -> None:
        with self.log.open("ab") as output:
            self._log_start = output.tell()
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *command.arguments,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**os.environ, **command.environment},
                    cwd=command.folder,
                    start_new_session=True,
                )
            except OSError as error:
                raise LaunchError(f"{self.name}: {command.arguments[0]}: {error}") from error

    async def wait_ready(self, timeout_s: float) -> None:
        """Return when it answers; :class:`LaunchError` with the log's end if it ends or is late."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            if not self.running:
                self.state = "died"
                raise LaunchError(f"{self.name} {self.ending()} before it was ready", self.tail())
            if await self.probe():
                self.state, self.problem = "ready", ""
                return
            if asyncio.get_running_loop().time() > deadline:
                raise LaunchError(f"{self.name} was not ready within {timeout_s:g} s", self.tail())
            await asyncio.sleep(_POLL_S)

    async def wait_ended(self) -> None:
        """Return when the process has ended, for whatever reason."""
        if self._process is not None:
            await self._process.wait()

    def ending(self) -> str:
        """How it ended, in words."""
        code = None if self._process is None else self._process.returncode
        if code is None:
            return "is running"
        return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"

    async def stop(self) -> None:
        """End it and all it has started: SIGTERM, after ``grace_s`` SIGKILL. Safe to repeat."""
        if self._process is None:
            return
        group = self._process.pid
        died = self.state == "died"
        self.state = "stopping"
        await self.terminate()
        if not await groups.wait_empty(group, self.grace_s):
            groups.kill(group)
            await groups.wait_empty(group, self.grace_s)
        await self._process.wait()
        self.state = "died" if died else "stopped"

    async def terminate(self) -> None:
        """Ask it to end."""
        if self._process is not None:
            groups.terminate(self._process.pid)

    def kill(self) -> None:
        """SIGKILL to it and all it has started, without waiting."""
        if self._process is not None:
            groups.kill(self._process.pid)

    def tail(self) -> str:
        """The last lines it has written since it was started."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - _TAIL_BYTES))
            lines = log.read().decode("utf-8", "replace").splitlines()
            return "\n".join(lines[-_TAIL_LINES:])
        return ""


async def get_json(url: str, timeout_s: float = 2) -> tuple[int, Any]:
    """Status and decoded body of a GET; status 0 where nothing answers, None where no JSON does."""
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as reply:
            try:
                return reply.status, await reply.json(content_type=None)
            except ValueError:
                return reply.status, None
    except (aiohttp.ClientError, TimeoutError, OSError):
        return 0, None
