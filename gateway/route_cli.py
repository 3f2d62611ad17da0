"""``gateway route show | set | shift``: see and edit the routing policy's file.

No server has to run: the file is edited where it lies, and every gateway that follows it takes
the change over. What a policy may name comes from the manifests of the repository.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from gateway.config import Settings, load
from gateway.errors import ConfigError, NotFound, shorten
from gateway.models.repository import Repository
from gateway.options import Config, RepositoryPath
from gateway.routing import policy_document
from gateway.routing.offers import Offers, offers_of
from gateway.routing.policy_document import Document
from gateway.routing.policy_file import PolicyFile, policy_path

route = typer.Typer(
    name="route",
    help="Show and edit the routing policy: the file that says which backend answers.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

File = Annotated[
    Path | None, typer.Option("--file", help="Policy file [default: the setting routing_policy].")
]
Model = Annotated[str, typer.Argument(help="Model the change is for.")]


@route.command()
def show(
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    file: File = None,
    repository: RepositoryPath = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show the policy of every model; a file that gateways refuse is an error."""
    settings, offers, policy_file = _open(file, repository, config)
    policy_file.load()
    if policy_file.error is not None:
        raise ConfigError(policy_file.error)
    if model is not None:
        _check_model(model, offers)
    shown = [model] if model is not None else list(offers)
    entries = {name: entry.as_written() for name, entry in policy_file.policy.models.items()}
    if as_json:
        models = {name: entries[name] for name in shown if name in entries}
        report = {"file": str(policy_file.path), "digest": policy_file.digest, "models": models}
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
        return
    table = Table("model", "default", "fallback", "canary", "sticky", "shadow")
    for name in shown:
        entry = entries.get(name, {})
        canary = entry.get("canary") or {}
        table.add_row(
            name,
            entry.get("default") or _unwritten_default(settings, list(offers[name])),
            _written(entry.get("fallback")),
            _written(canary.get("weights")),
            canary.get("sticky") or ("request id" if canary else "–"),
            _written(entry.get("shadow")),
        )
    state = policy_file.digest or "there is no such file yet"
    Console().print(f"{policy_file.path} ({state})", markup=False, highlight=False, soft_wrap=True)
    Console().print(table)


@route.command("set")
def set_(
    model: Model,
    default: Annotated[
        str | None, typer.Option(help="Route of requests that name no backend; or auto.")
    ] = None,
    fallback: Annotated[
        str | None, typer.Option(help="Routes backend=auto goes on to, like onnx,tfserving.")
    ] = None,
    canary: Annotated[
        str | None, typer.Option(help="Percentages, like torchserve=90,onnx=10.")
    ] = None,
    sticky: Annotated[
        str | None,
        typer.Option(help='Header that decides who gets which route; "": the request id.'),
    ] = None,
    shadow: Annotated[str | None, typer.Option(help="Route that gets copies of requests.")] = None,
    share: Annotated[
        float | None, typer.Option(help="Share of the requests that is copied, above 0 to 1.")
    ] = None,
    no_default: Annotated[bool, typer.Option("--no-default", help="Remove the default.")] = False,
    no_fallback: Annotated[
        bool, typer.Option("--no-fallback", help="Remove the fallback.")
    ] = False,
    no_canary: Annotated[bool, typer.Option("--no-canary", help="Remove the canary.")] = False,
    no_shadow: Annotated[bool, typer.Option("--no-shadow", help="Remove the shadow.")] = False,
    file: File = None,
    repository: RepositoryPath = None,
    config: Config = None,
) -> None:
    """Set or remove parts of a model's policy; what is not named stays."""
    parts_of_canary = {"weights": _weights(canary) if canary else None, "sticky": sticky}
    parts_of_shadow = {"candidate": shadow, "share": share}
    wanted: dict[str, Any] = {}
    for key, given, removed in (
        ("default", default, no_default),
        ("fallback", _names(fallback) if fallback else None, no_fallback),
        ("canary", _without(parts_of_canary, None), no_canary),
        ("shadow", _without(parts_of_shadow, None), no_shadow),
    ):
        if given and removed:
            raise ConfigError(f"--no-{key} contradicts what is given for the {key}")
        if given or removed:
            wanted[key] = given or None
    if not wanted:
        raise ConfigError("nothing to set; gateway route set --help lists the options")

    def change(document: Document) -> None:
        entry = document["models"].get(model, {})
        for key, value in wanted.items():
            if isinstance(value, dict):
                value = _without({**(entry.get(key) or {}), **value}, "")
            policy_document.set_value(document, model, key, value)

    _edit(model, change, *_open(file, repository, config)[1:])


@route.command()
def shift(
    model: Model,
    to_route: Annotated[str, typer.Argument(metavar="ROUTE", help="Backend or backend/lineage.")],
    percent: Annotated[float, typer.Argument(help="What the route is to have, 0 to 100.")],
    file: File = None,
    repository: RepositoryPath = None,
    config: Config = None,
) -> None:
    """Give a route a percentage of the requests; the canary's other routes share the rest."""
    _, offers, policy_file = _open(file, repository, config)

    def change(document: Document) -> None:
        backends = list(offers[model])
        policy_document.shift(document, model, to_route, percent, backends)

    _edit(model, change, offers, policy_file)


def _open(
    file: Path | None, repository: str | None, config: Path | None
) -> tuple[Settings, Offers, PolicyFile]:
    settings = load({"repository": repository}, config)
    offers = offers_of(Repository.scan(Path(settings.repository), settings.max_instances))
    return settings, offers, PolicyFile(file or policy_path(settings), lambda: offers)


def _edit(
    model: str, change: Callable[[Document], None], offers: Offers, policy_file: PolicyFile
) -> None:
    """Edit the file and print what is different in the model's entry."""
    _check_model(model, offers)
    entries: list[dict[str, Any]] = []

    def noted(document: Document) -> None:
        entries.append(copy.deepcopy(document["models"].get(model, {})))
        change(document)
        entries.append(document["models"].get(model, {}))

    policy_file.edit(noted)
    before, after = entries
    keys = [key for key in policy_document.KEYS if before.get(key) != after.get(key)]
    for key in keys:
        was, now = _written(before.get(key)), _written(after.get(key))
        typer.echo(f"{model}: {key}: {was} → {now}")
    if not keys:
        typer.echo(f"{model}: nothing changed")


def _check_model(model: str, offers: Offers) -> None:
    if model not in offers:
        raise NotFound("model", model, list(offers))


def _unwritten_default(settings: Settings, backends: list[str]) -> str:
    """Who answers where the policy names no default."""
    if settings.default_backend in backends:
        return f"{settings.default_backend} (setting default_backend)"
    return f"{backends[0]} (first of the manifest)" if backends else "–"


def _written(value: object) -> str:
    """A part of the policy as it stands in the file, on one line."""
    if value is None:
        return "–"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_written(entry)}" for name, entry in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _without(parts: dict[str, Any], value: object) -> dict[str, Any]:
    return {name: part for name, part in parts.items() if part != value}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _weights(text: str) -> dict[str, float]:
    """``torchserve=90,onnx=10`` as percentages by route; raises :class:`ConfigError`."""
    weights: dict[str, float] = {}
    for part in _names(text):
        name, _, percent = part.partition("=")
        try:
            weight = policy_document.number(float(percent))
        except ValueError as error:
            raise ConfigError(
                f"canary: {shorten(part)!r} is no route=percent, like torchserve=90,onnx=10"
            ) from error
        if name in weights:
            raise ConfigError(f"canary: {shorten(name)} is given twice; allowed: each route once")
        weights[name] = weight
    return weights
