"""What is sent: so many connections, bodies of so many rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.bench.endpoint import Endpoint
from loadtests.bench.payload import Row


@dataclass(frozen=True, eq=False)
class Workload:
    """``bodies`` are groups of rows, each group one request, sent in turn."""

    connections: int
    bodies: Sequence[Sequence[Row]]

    @property
    def rows(self) -> int:
        """Rows in each body."""
        return len(self.bodies[0])

    @property
    def title(self) -> str:
        """In words, for the tables."""
        connections = f"{self.connections} connection{'s' if self.connections > 1 else ''}"
        return connections if self.rows == 1 else f"{connections}, {self.rows:,} rows a body"

    def encoded(self, endpoint: Endpoint) -> list[bytes]:
        """The bodies as the endpoint wants them, compact JSON."""
        return [
            json.dumps(endpoint.encode(body), separators=(",", ":")).encode()
            for body in self.bodies
        ]

    def write(self, endpoint: Endpoint, path: Path) -> Path:
        """A body a line."""
        path.write_bytes(b"\n".join([*self.encoded(endpoint), b""]))
        return path


def split(rows: Sequence[Row], size: int) -> list[Sequence[Row]]:
    """Groups of ``size`` rows; an incomplete last one is left out."""
    return [rows[start : start + size] for start in range(0, len(rows) - size + 1, size)]
