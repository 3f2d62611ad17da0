"""The container's health check: exit status 0 while the gateway's ``/readyz`` says 200.

It asks where the container's processes listen, so that whatever chose address, port and TLS is
followed: a variable, a file or an option of the command. It runs every few seconds on the core that
serves, so it imports next to nothing: ``python -I -S``.
"""

import os
import socket
import sys

_TIMEOUT_S = 4
_REQUEST = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
#: State of a socket that listens, in /proc/net/tcp.
_LISTEN = "0A"
#: Any address, and the one that reaches it.
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def listening() -> list[tuple[str, int]]:
    """The addresses and ports on which processes of this user listen, the lowest port first."""
    mine = _sockets()
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in _lines(table)[1:]:
            fields = line.split()
            if fields[3] == _LISTEN and f"socket:[{fields[9]}]" in mine:
                found.add(_address(fields[1]))
    return sorted(found, key=lambda one: one[1])


def _sockets() -> set[str]:
    """The sockets that processes of this user hold open, as ``socket:[inode]``."""
    held = set()
    for process in filter(str.isdigit, os.listdir("/proc")):
        folder = f"/proc/{process}/fd"
        try:
            held |= {os.readlink(f"{folder}/{name}") for name in os.listdir(folder)}
        except OSError:
            continue  # ended meanwhile, or another user's
    return held


def _lines(path: str) -> list[str]:
    """The lines of a file, none where there is no such file, as without IPv6."""
    try:
        with open(path) as file:
            return file.readlines()
    except FileNotFoundError:
        return []


def _address(field: str) -> tuple[str, int]:
    """The address and the port of ``0100007F:1F40``: words of four bytes in the machine's order."""
    text, _, port = field.partition(":")
    words = [bytes.fromhex(text[start : start + 8]) for start in range(0, len(text), 8)]
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    host = socket.inet_ntop(family, packed)
    return _WILDCARDS.get(host, host), int(port, 16)


def ask(host: str, port: int) -> str:
    """The whole answer of ``/readyz``, head and body; by TLS where it takes nothing else."""
    plain = _ask(_connect(host, port))
    return plain if plain.startswith("HTTP/") else _ask(_encrypted(_connect(host, port)))


def _connect(host: str, port: int) -> socket.socket:
    # Not create_connection, which resolves names and loads what that takes.
    connection = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    connection.settimeout(_TIMEOUT_S)
    connection.connect((host, port))
    return connection


def _ask(connection: socket.socket) -> str:
    with connection:
        try:
            connection.sendall(_REQUEST)
            parts = []
            while part := connection.recv(4096):
                parts.append(part)
        except ConnectionError:
            return ""
    return b"".join(parts).decode(errors="replace")


def _encrypted(plain: socket.socket) -> socket.socket:
    """TLS over the connection; whose certificate it is, is not the question here."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)


def main() -> None:
    """Ask every port, the management doors' too: all of them say whether it is ready."""
    answers = []
    for host, port in listening():
        try:
            answers.append(ask(host, port))
        except OSError as error:
            sys.exit(f"the gateway does not answer on port {port}: {error}")
    for answer in answers:
        print(answer.rpartition("\r\n")[2])
    if not answers:
        sys.exit("the gateway does not answer: nothing listens")
    sys.exit(0 if all(answer.split(" ", 2)[1:2] == ["200"] for answer in answers) else 1)


if __name__ == "__main__":
    main()
