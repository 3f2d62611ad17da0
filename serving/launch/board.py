"""Shows the state of the servers: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from serving.launch.process import ServerInfo, State

_STYLES: dict[State, str] = {
    "stopped": "dim",
    "starting": "yellow",
    "ready": "green",
    "stopping": "yellow",
    "died": "bold red",
}


class Board(Protocol):
    """Where the states and a few words go; a context manager."""

    def update(self, servers: Sequence[ServerInfo]) -> None:
        """Show the states."""

    def say(self, text: str) -> None:
        """Show lines of text that stay."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def make_board(console: Console) -> Board:
    """A table if the console is a terminal, else lines."""
    return TableBoard(console) if console.is_terminal else LineBoard(console)


class TableBoard:
    """One table, drawn anew at every change; what is said scrolls by above it."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)

    def update(self, servers: Sequence[ServerInfo]) -> None:
        """Draw the table."""
        table = Table("server", "state", "address", "process", "what")
        for server in servers:
            table.add_row(
                server.name,
                Text(server.state, style=_STYLES[server.state]),
                server.url,
                "" if server.pid is None else str(server.pid),
                Text(_remarks(server)),
            )
        self._live.update(table, refresh=True)

    def say(self, text: str) -> None:
        """Print above the table."""
        self._live.console.print(Text(text))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


class LineBoard:
    """One line per change of state."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: dict[str, tuple[object, ...]] = {}

    def update(self, servers: Sequence[ServerInfo]) -> None:
        """Print a line for each server whose state is new."""
        for server in servers:
            shown = (server.state, server.problem, server.pid)
            if server.state != "stopped" and self._shown.get(server.name) != shown:
                process = "" if server.pid is None else f", process {server.pid}"
                self.say(
                    f"{server.name}: {server.state}, {server.url}{process}, {_remarks(server)}"
                )
            self._shown[server.name] = shown

    def say(self, text: str) -> None:
        """Print at once, so that a reader at the end of a pipe sees it."""
        self._console.print(Text(text), soft_wrap=True)
        self._console.file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def _remarks(server: ServerInfo) -> str:
    restarts = f"restarted {server.restarts}×" if server.restarts else ""
    return "; ".join(filter(None, [server.detail, server.problem, restarts]))
