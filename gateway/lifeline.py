"""What joins each of several workers to their parent: two sockets, one at either end.

The worker says through it that it listens; nothing else is ever sent. When either ends, however it
does, the other finds the line closed.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

#: The number of the worker's socket, in its environment.
_VARIABLE = "GATEWAY_WORKER_LIFELINE"
_LISTENING = b"+"


class Lifeline:
    """The parent's end; to be closed once the worker has ended."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)

    @property
    def inherited(self) -> list[int]:
        """The file descriptors that the worker must be started with."""
        return [self._theirs.fileno()]

    @property
    def variables(self) -> Mapping[str, str]:
        """Beside these environment variables."""
        return {_VARIABLE: str(self._theirs.fileno())}

    def started(self) -> None:
        """The worker has its end now: once it is gone, nobody holds that."""
        self._theirs.close()

    def says_listening(self) -> bool:
        """Whether the worker has said since the last call that it listens."""
        with suppress(OSError):  # nothing came, or the worker has ended
            return self._ours.recv(1) == _LISTENING
        return False

    def close(self) -> None:
        """Let go of both ends."""
        self._theirs.close()
        self._ours.close()


def own_lifeline() -> socket.socket | None:
    """This worker's end, readable once the parent has gone; None in a process that is no worker."""
    number = os.environ.pop(_VARIABLE, None)
    if number is None:
        return None
    line = socket.socket(fileno=int(number))
    line.set_inheritable(False)
    line.setblocking(False)
    return line


def say_listening(line: socket.socket) -> None:
    """Tell the parent that this worker listens."""
    with suppress(OSError):  # it has gone: the event loop will find that
        line.send(_LISTENING)
