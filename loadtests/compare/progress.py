"""What somebody who waits for a comparison is shown."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Watcher(Protocol):
    """Is told how far a comparison is."""

    def phase(self, name: str, steps: int) -> None:
        """Something new begins, of so many steps; what was before has ended."""
        ...

    def advance(self, steps: int = 1) -> None:
        """So many more steps of it are done."""
        ...

    def say(self, text: str) -> None:
        """A line that stays."""
        ...


class Silent:
    """Shows nothing."""

    def phase(self, name: str, steps: int) -> None:
        """Nothing."""

    def advance(self, steps: int = 1) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


class Bars:
    """A bar for each phase on a terminal, a line elsewhere; a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def phase(self, name: str, steps: int) -> None:
        """Begin a bar; the one before is full."""
        self._finish()
        self._task = self._progress.add_task(name, total=steps)
        if not self._console.is_terminal:
            self.say(name)

    def advance(self, steps: int = 1) -> None:
        """Make the bar longer."""
        if self._task is not None:
            self._progress.advance(self._task, steps)

    def say(self, text: str) -> None:
        """Print above the bars, at once."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
        self._console.file.flush()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._finish()
        self._progress.stop()

    def _finish(self) -> None:
        if self._task is not None:
            task = self._progress.tasks[self._progress.task_ids.index(self._task)]
            self._progress.update(self._task, completed=task.total)
