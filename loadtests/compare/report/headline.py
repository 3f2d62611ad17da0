"""The one table to look at: each subject and what decides about it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from loadtests.compare.report.names import servers_of
from loadtests.compare.report.table import Cell, Column, Table, linked, named, together, ungrouped
from loadtests.compare.results import Figure, Point, Results, Server, Subject


def headline(results: Results) -> Table:
    """A row for each subject; every number leads to its place in the report."""
    many = max((p.connections for p in results.points if p.shape == "closed"), default=0)
    clients = f"{many:,} clients" if many else "many clients"
    columns = [
        Column("asked", numeric=False),
        Column(f"requests/s, {clients}"),
        Column("p50, 1 client", "ms"),
        Column(f"p99, {clients}", "ms"),
        Column("memory under load", "MB"),
        Column("first prediction from cold", "s"),
        Column("to install", "MB"),
    ]
    rows = [_row(subject, results, many) for subject in results.subjects]
    return ungrouped("The figures in short", columns, rows)


def _row(subject: Subject, results: Results, many: int) -> list[Cell]:
    busy = _point(results, subject, many)
    alone = _point(results, subject, 1)
    servers = servers_of(subject, results.servers)
    limited = busy is not None and busy.driver_limited
    return [
        named(subject.name, subject.stand_in),
        linked(busy.requests_per_s if busy else None, "≥" if limited else ""),
        linked(alone.p50 if alone else None),
        linked(busy.p99 if busy else None, "≤" if limited else ""),
        _of(servers, lambda server: server.memory_loaded),
        _of(servers, lambda server: server.first_prediction),
        _of(servers, lambda server: server.install),
    ]


def _of(servers: list[Server], pick: Callable[[Server], Figure]) -> Cell:
    """The figure of the backend's own server, and small below it what others add."""
    return together(
        [
            cell if i == 0 else msgspec.structs.replace(cell, between="", remark=server.name)
            for i, server in enumerate(servers)
            for cell in [linked(pick(server), "+" if i else "")]
        ]
    )


def _point(results: Results, subject: Subject, connections: int) -> Point | None:
    for point in results.points:
        if (
            point.subject == subject.name
            and point.shape == "closed"
            and point.connections == connections
        ):
            return point
    return None
