"""The one error of the launchers."""

from __future__ import annotations


class LaunchError(Exception):
    """A server that cannot be started; the message says why and what to do.

    ``log_tail`` holds the last lines the server wrote, "" where it was never started.
    """

    def __init__(self, message: str, log_tail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.log_tail = log_tail

    def __str__(self) -> str:
        return f"{self.message}\n{self.log_tail}" if self.log_tail else self.message
