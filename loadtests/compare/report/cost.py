"""What the report says of cost: a table of the servers, and one of CPU time."""

from __future__ import annotations

from loadtests.compare.report.names import stand_ins
from loadtests.compare.report.numerals import NOTHING, number
from loadtests.compare.report.table import Cell, Column, Table, named, shown, ungrouped, words
from loadtests.compare.results import Results, Server, Usage


def servers(results: Results) -> Table:
    """Memory, first prediction and sizes, a row for each server."""
    images = any(server.image is not None for server in results.servers)
    columns = [
        Column("server", numeric=False),
        Column("memory idle", "MB"),
        Column("memory under load", "MB"),
        Column("first prediction from cold", "s"),
        Column("to install", "MB"),
        Column("model file", "MB"),
    ]
    if images:
        columns += [Column("container image", "MB"), Column("its build", "s")]
    rows = [_server(server, images) for server in results.servers]
    return ungrouped("What each server takes", columns, rows)


def usage(results: Results) -> Table:
    """CPU time of 1,000 predictions, and their price where the user gave one."""
    priced = any(one.price is not None for one in results.usage)
    columns = [
        Column("asked", numeric=False),
        Column("CPU, 1,000 predictions", "s"),
        Column("of it", numeric=False),
    ]
    if priced:
        columns.append(Column("price of 1,000,000"))
    stood_in = stand_ins(results.subjects)
    rows = [_usage(one, stood_in.get(one.subject), priced) for one in results.usage]
    return ungrouped("CPU time under load of many clients", columns, rows)


def _server(server: Server, images: bool) -> list[Cell]:
    name = named(server.name, server.stand_in)
    row = [
        Cell(text=name.text, mark=name.mark, remark=", ".join(server.processes)),
        shown(server.memory_idle),
        shown(server.memory_loaded),
        shown(server.first_prediction),
        shown(server.install),
        shown(server.artifact),
    ]
    return [*row, shown(server.image), shown(server.image_build)] if images else row


def _usage(one: Usage, stand_in: str | None, priced: bool) -> list[Cell]:
    parts = [f"{name} {number(seconds)}" for name, seconds in one.by_server.items()]
    row = [
        named(one.subject, stand_in),
        shown(one.cpu),
        words(" + ".join(parts) or NOTHING),
    ]
    return [*row, shown(one.price)] if priced else row
