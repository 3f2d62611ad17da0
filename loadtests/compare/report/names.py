"""How loads, subjects and measures are called wherever they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loadtests.compare.results import Contrast, Point, Server, Subject

#: How the measures that contrasts name are called.
MEASURES = {
    "requests_per_s": "throughput",
    "rows_per_s": "throughput",
    "p50": "p50",
    "p90": "p90",
    "p99": "p99",
    "p999": "p99.9",
}


def load(of: Point | Contrast) -> str:
    """``64 clients`` · ``500 requests/s offered`` · ``128 rows a body``."""
    if of.shape == "open":
        return f"{_count(of.rate or 0)} requests/s offered"
    if of.shape == "batch":
        return f"{of.rows:,} rows a body"
    return "1 client" if of.connections == 1 else f"{of.connections:,} clients"


def order(of: Point | Contrast) -> tuple[str, float, int, int]:
    """Sorts loads: closed, open, batch; each from light to heavy."""
    shape = {"closed": "1", "open": "2", "batch": "3"}[of.shape]
    return shape, of.rate or 0.0, of.connections if of.shape == "closed" else 0, of.rows


def measure(name: str) -> str:
    """What a measure is called."""
    return MEASURES.get(name, name.replace("_", " "))


def stand_ins(subjects: Sequence[Subject]) -> Mapping[str, str | None]:
    """By subject: the stand-in that has a part in it."""
    return {subject.name: subject.stand_in for subject in subjects}


def servers_of(subject: Subject, servers: Sequence[Server]) -> list[Server]:
    """Those that take part in the subject's predictions, its backend's own first.

    A backend without a server of its own runs inside the gateway; a direct subject goes past it.
    """
    inside = subject.server is None
    wanted = [] if inside else [subject.backend]
    if inside or not subject.direct:
        wanted.append("gateway")
    by_name = {server.name: server for server in servers}
    return [by_name[name] for name in wanted if name in by_name]


def _count(rate: float) -> str:
    return f"{rate:,.0f}" if rate % 1 == 0 else f"{rate:,}"
