"""Processes of this machine: who listens at a URL, and all that belongs to it."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import NamedTuple, Self

import psutil
from yarl import URL

from loadtests.compare.errors import CompareError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: They listen in the place of a container's server, and what they use is not the server's.
_FORWARDERS = frozenset({"docker-proxy", "rootlessport", "slirp4netns", "conmon"})
#: Python's options that take the next word.
_TAKES_WORD = frozenset({"-X", "-W"})
#: Readings of a family that loses members meanwhile.
_TRIES = 5


class _Program(NamedTuple):
    """What a process runs: ``name`` without interpreter and folder, ``command`` its first word."""

    python: bool
    name: str
    command: str

    def __str__(self) -> str:
        return f"python: {self.name}" if self.python else self.name


def listener(url: str) -> psutil.Process | None:
    """The process of this machine that serves at a URL; None where there is none to be seen.

    Where workers share the port it is their supervisor: the listener's parent, and its parent, as
    far as they run the same program. What started the server otherwise is not it. None as well for
    other machines, and for a container's server, whose port its engine forwards.
    """
    port, wanted = _own_addresses(url)
    found = [_supervisor(one) for one in _listeners(port, wanted)] if wanted else []
    served = [one for one in found if _program(one).name not in _FORWARDERS]
    return min(served, key=_started, default=None)


class Family:
    """A server's process and all its descendants, looked up anew each time."""

    def __init__(self, root: psutil.Process) -> None:
        self.root = root

    @classmethod
    def at(cls, url: str) -> Self | None:
        """The family of who listens at ``url``; see :func:`listener`."""
        root = listener(url)
        return None if root is None else cls(root)

    @property
    def alive(self) -> bool:
        """Whether its first process still runs."""
        try:
            return self.root.is_running() and self.root.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def processes(self) -> list[psutil.Process]:
        """The first process, then its descendants, parents before their children.

        Raises :class:`CompareError` if the first has ended.
        """
        if self.alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                return [self.root, *self.root.children(recursive=True)]
        raise CompareError(f"process {self.root.pid} has ended")

    def rss_mb(self) -> float:
        """Resident memory together in MB (10⁶ bytes); pages they share count in each.

        Raises :class:`CompareError` if the first has ended.
        """
        total = 0
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        return total / 1e6

    def cpu_s(self) -> float:
        """CPU seconds, user and system, since they began; also of descendants that have ended.

        Raises :class:`CompareError` if the first has ended.
        """
        # Who ends while we read has its time added to its parent's, which was read before.
        for _ in range(_TRIES):
            with contextlib.suppress(psutil.NoSuchProcess):
                return _rounded(_cpu_s(process) for process in self.processes())
        readable = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                readable.append(_cpu_s(process))
        return _rounded(readable)

    def names(self) -> list[str]:
        """Short names, ``java`` or ``python: gateway``, once each with how many there are.

        Raises :class:`CompareError` if the first has ended.
        """
        counts = Counter(str(_program(process)) for process in self.processes())
        return [name if count == 1 else f"{name} ×{count}" for name, count in counts.items()]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    ended = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return float(times.user + times.system + ended)


def _rounded(seconds: Iterable[float]) -> float:
    """Their sum, the same in whatever order: all are whole ticks of the system's clock."""
    return round(sum(seconds), 6)


def _own_addresses(url: str) -> tuple[int, set[_Address]]:
    """A URL's port, and those of its host's addresses that are this machine's."""
    parsed = URL(url)
    if parsed.host is None or parsed.port is None:
        raise CompareError(f"{url} is not a URL like http://host:port")
    try:
        told = socket.getaddrinfo(parsed.host, parsed.port, type=socket.SOCK_STREAM)
    except OSError:
        return parsed.port, set()
    ours = {
        _address(entry.address)
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family in (socket.AF_INET, socket.AF_INET6)
    }
    there = {_address(str(answer[4][0])) for answer in told}
    return parsed.port, {one for one in there if one.is_loopback or one in ours}


def _listeners(port: int, addresses: set[_Address]) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            # Asked one by one: the list of all at once needs privileges on some systems.
            for connection in process.net_connections("tcp"):
                if connection.status != psutil.CONN_LISTEN or connection.laddr.port != port:
                    continue
                address = _address(connection.laddr.ip)
                if address.is_unspecified or address in addresses:
                    yield process
                    break


def _address(text: str) -> _Address:
    """An IP address; one of IPv4 that is written as IPv6, as Java's are, as what it is."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def _supervisor(process: psutil.Process) -> psutil.Process:
    """The topmost ancestor up to which all run the same program."""
    try:
        parent = process.parent()
        while parent is not None and _same(_program(parent), _program(process)):
            process, parent = parent, parent.parent()
    except psutil.Error:
        pass
    return process


def _same(one: _Program, other: _Program) -> bool:
    return bool(one.name) and (one.name, one.command) == (other.name, other.command)


def _program(process: psutil.Process) -> _Program:
    try:
        arguments = process.cmdline()
        if not arguments:
            return _Program(False, process.name(), "")
    except psutil.Error:
        return _Program(False, "", "")
    return _parse(arguments)


def _parse(arguments: Sequence[str]) -> _Program:
    first = PurePath(arguments[0]).name
    if not first.lower().startswith("python"):
        return _Program(False, first, _first_word(arguments[1:]))
    words = iter(arguments[1:])
    for word in words:
        if word == "-m":
            return _Program(True, next(words, ""), _first_word(list(words)))
        if word == "-c":
            return _Program(True, word, next(words, ""))
        if word in _TAKES_WORD:
            next(words, None)
        elif not word.startswith("-"):
            return _Program(True, PurePath(word).stem, _first_word(list(words)))
    return _Program(True, "", "")


def _first_word(arguments: Sequence[str]) -> str:
    return next((word for word in arguments if not word.startswith("-")), "")


def _started(process: psutil.Process) -> float:
    try:
        return process.create_time()
    except psutil.Error:
        return float("inf")
