"""``gateway inspect``: what there is to see of a model's ONNX files."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from gateway.config import load
from gateway.errors import ConfigError
from gateway.inspection.files import GraphFile, find_files
from gateway.inspection.report import NEEDS_ONNX, read_report
from gateway.inspection.show import show
from gateway.options import Config, NamedIn


def inspect(
    model: Annotated[str, typer.Argument(help="A .onnx file, a model's folder, or its name.")],
    version: Annotated[str | None, typer.Option(help="Version; the newest if left out.")] = None,
    lineage: Annotated[str | None, typer.Option(help="Only what serves this lineage.")] = None,
    graph: Annotated[
        bool, typer.Option("--graph", help="Print the graph as text, node by node.")
    ] = False,
    netron: Annotated[
        bool, typer.Option("--netron", help="Open it in Netron, a viewer in the browser.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    repository: NamedIn = None,
    config: Config = None,
) -> None:
    """Show inputs, outputs, operators, parameters and metadata of a model's ONNX files."""
    files = find_files(model, load({"repository": repository}, config), version, lineage)
    if netron:
        _open_netron(files)
    elif graph:
        typer.echo("\n".join(map(_text, files)))
    elif as_json:
        reports = [read_report(file).as_dict() for file in files]
        typer.echo(json.dumps({"files": reports}, indent=2, ensure_ascii=False))
    else:
        for file in files:
            show(read_report(file), Console())


def _text(file: GraphFile) -> str:
    try:
        from gateway.inspection.structure import print_graph
    except ModuleNotFoundError as error:
        raise ConfigError(f"--graph {NEEDS_ONNX}") from error
    return f"# {file.name}\n{print_graph(file.path)}"


def _open_netron(files: list[GraphFile]) -> None:
    """Show each file in Netron, a server of its own each, until Ctrl-C."""
    try:
        import netron
    except ModuleNotFoundError as error:
        raise ConfigError("--netron needs the package netron: pip install netron") from error
    for file in files:
        host, port = netron.start(str(file.path), address=("127.0.0.1", None))
        typer.echo(f"{file.name}: http://{host}:{port} (Ctrl-C ends)")
    netron.wait()
