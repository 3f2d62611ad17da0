"""``gateway providers``: ONNX Runtime's execution providers, and which of them compute what."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Annotated, Any

import onnxruntime as ort
import typer
from rich.console import Console
from rich.table import Table

from gateway.backends.base import Target
from gateway.backends.onnx import OnnxBackend
from gateway.config import Settings, load
from gateway.errors import GatewayError, ModelError
from gateway.logs import logger
from gateway.models.repository import ModelVersion, Repository
from gateway.options import Config, RepositoryPath, Url
from gateway.tables import table

Entry = dict[str, Any]


def providers(
    url: Url = None,
    repository: RepositoryPath = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show what ONNX Runtime can compute with, and what computes each model; of a running gateway
    with --url."""
    if url is not None:
        report = asyncio.run(_there(url))
    else:
        report = asyncio.run(_here(load({"repository": repository}, config)))
    if as_json:
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
        return
    console = Console()
    if "available" in report:
        _show_available(report, console)
    if report["models"]:
        console.print(_models(report["models"]))
    for entry in report["models"]:
        for words in entry["warnings"]:
            typer.echo(f"warning: {entry['model']}, {entry['lineage']}: {words}", err=True)
    for name, reason in report.get("failures", {}).items():
        typer.echo(f"warning: {name}: {reason}", err=True)


async def _there(url: str) -> Entry:
    """What the backend ``onnx`` of a running gateway says of its models."""
    from gateway import client

    found = (await client.get(url, "/v1/backends"))["backends"]
    models = [
        _entry(entry["model"], entry["version"], entry["lineage"])
        | entry.get("providers", {"warnings": [entry["detail"]]})
        for backend in found
        if backend["name"] == OnnxBackend.name
        for entry in backend["models"]
    ]
    return {"models": models}


async def _here(settings: Settings) -> Entry:
    """The same for the newest version of each model, loaded by this process and not served."""
    backend = OnnxBackend.from_settings(settings)
    available: list[str] = ort.get_available_providers()
    report: Entry = {
        "onnxruntime": ort.__version__,
        "asked": list(settings.providers),
        "available": available,
        "absent": [name for name in ort.get_all_providers() if name not in available],
    }
    try:
        repository = Repository.scan(Path(settings.repository))
    except ModelError as error:
        return report | {"models": [], "failures": {"repository": error.detail}}
    newest = [repository.get(name) for name in repository.models]
    # What is logged of it is shown here, too.
    quiet = logging.NullHandler()
    logger.addHandler(quiet)
    try:
        models = [entry for model in newest for entry in await _load(backend, model)]
    finally:
        logger.removeHandler(quiet)
    return report | {"models": models, "failures": repository.failures}


async def _load(backend: OnnxBackend, model: ModelVersion) -> list[Entry]:
    spec = model.manifest.backends.get(backend.name)
    entries = []
    for lineage, options in spec.lineages.items() if spec is not None else ():
        target = Target(backend.name, model, lineage, options)
        entry = _entry(model.name, model.version, lineage)
        try:
            await backend.load(target)
            entry |= backend.facts(target)["providers"]
        except GatewayError as error:
            entry["warnings"] = [error.detail]
        await backend.unload(target)
        entries.append(entry)
    return entries


def _entry(model: str, version: str, lineage: str) -> Entry:
    """What is known of a target that is not loaded."""
    known = {"model": model, "version": version, "lineage": lineage}
    return known | {"asked": [], "active": [], "nodes": {}, "warnings": []}


def _show_available(report: Entry, console: Console) -> None:
    asked, available = report["asked"], report["available"]
    found = table(f"ONNX Runtime {report['onnxruntime']}", "there", "asked for")
    for name in dict.fromkeys([*asked, *available]):
        place = f"as number {asked.index(name) + 1}" if name in asked else ""
        found.add_row(name, "yes" if name in available else "no", place)
    console.print(found)
    absent = ", ".join(name.removesuffix("ExecutionProvider") for name in report["absent"])
    console.print(f"  not in this build: {absent}", markup=False, highlight=False)


def _models(entries: list[Entry]) -> Table:
    found = table("model", "version", "lineage", "computed by")
    for entry in entries:
        nodes = entry["nodes"] or dict.fromkeys(entry["active"], "all")
        shares = (f"{name}: {count} nodes" for name, count in nodes.items())
        found.add_row(
            entry["model"], entry["version"], entry["lineage"], "\n".join(shares) or "not loaded"
        )
    return found
