"""TCP ports of this machine: which are free."""

from __future__ import annotations

import socket

from serving.launch.errors import LaunchError


def free_port(host: str = "127.0.0.1") -> int:
    """A port nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


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
