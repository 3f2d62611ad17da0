"""TCP ports of this machine: which are free."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from serving.launch.errors import LaunchError


def free_port(host: str = "127.0.0.1") -> int:
    """A port nothing listens on at the moment."""
    (port,) = free_ports(1, host)
    return port


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """So many different ports nothing listens on at the moment."""
    with ExitStack() as stack:
        # All are held before the first is given back: it could be found again.
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((host, 0))
        return [probe.getsockname()[1] for probe in probes]


def require_free(port: int, purpose: str, host: str = "127.0.0.1") -> None:
    """Raise :class:`LaunchError` naming ``purpose`` if the port cannot be listened on."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still closing down is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise LaunchError(
                f"port {port} ({purpose}) cannot be used: {error.strerror or error}."
                " Stop what uses it, or choose another port"
            ) from None
