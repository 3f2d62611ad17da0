"""The container's health check: exit status 0 while the gateway's ``/readyz`` says 200.

It asks where the gateway's own settings say it listens, so PORT and TLS are followed. It runs every
few seconds, so it imports little.
"""

from __future__ import annotations

import socket
import sys

from gateway.config import load

_TIMEOUT_S = 4
_REQUEST = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def ask(port: int, tls: bool) -> str:
    """The whole answer of ``/readyz`` on this host, head and body."""
    with socket.create_connection(("127.0.0.1", port), _TIMEOUT_S) as plain:
        connection = _encrypted(plain) if tls else plain
        connection.sendall(_REQUEST)
        parts = []
        while part := connection.recv(4096):
            parts.append(part)
        return b"".join(parts).decode()


def _encrypted(plain: socket.socket) -> socket.socket:
    """TLS over the connection; whose certificate it is, is not the question here."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)


if __name__ == "__main__":
    settings = load()
    try:
        answer = ask(settings.port, bool(settings.tls_certificate))
    except OSError as error:
        sys.exit(f"the gateway does not answer: {error}")
    print(answer.rpartition("\r\n")[2])
    sys.exit(0 if answer.split(" ", 2)[1:2] == ["200"] else 1)
