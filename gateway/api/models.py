"""``GET /v1/models`` and ``/v1/models/{name}``: what is served and what it takes."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from gateway.api.state import ROUTER, json_response, query_parameters
from gateway.models.labels import threshold_of
from gateway.models.manifest import Manifest, Output
from gateway.models.repository import ModelVersion, Repository


async def models(request: web.Request) -> web.Response:
    """Every model with its versions and backends, and the folders that could not be read."""
    query_parameters(request, ())
    return json_response(listing(request.app[ROUTER].repository))


async def model(request: web.Request) -> web.Response:
    """One model in full: features with ranges, outputs, lineages, JSON Schema, an example."""
    version = query_parameters(request, ("version",)).get("version")
    repository = request.app[ROUTER].repository
    return json_response(
        description(repository.get(request.match_info["name"], version), repository)
    )


def listing(repository: Repository) -> dict[str, Any]:
    """The models in short; the command line shows the same."""
    entries = []
    for name, versions in repository.models.items():
        newest = repository.get(name)
        entries.append(
            {
                "name": name,
                "description": newest.manifest.description,
                "versions": list(versions),
                "backends": _lineages(newest),
            }
        )
    return {"models": entries, "failures": repository.failures | repository.refused}


def description(entry: ModelVersion, repository: Repository) -> dict[str, Any]:
    """Everything a client needs to call the model."""
    manifest = entry.manifest
    content: dict[str, Any] = msgspec.to_builtins(manifest)
    features = [
        {
            key: value
            for key, value in feature.items()
            if value not in (None, "", (), []) and (key, value) != ("finite", True)
        }
        for feature in content["features"]
    ]
    return {
        "name": manifest.name,
        "version": entry.version,
        "versions": list(repository.models[manifest.name]),
        "description": manifest.description,
        "features": features,
        "outputs": [_output(output, manifest) for output in manifest.outputs],
        "backends": _lineages(entry),
        "out_of_range": manifest.out_of_range,
        "batched": manifest.batched,
        "parity": content["parity"],
        "schema": manifest.json_schema,
        "example": manifest.example,
    }


def _output(output: Output, manifest: Manifest) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.to_builtins(output)
    content["threshold"] = threshold_of(output)
    content["label_key"] = manifest.label_keys.get(output.name)
    return {key: value for key, value in content.items() if value is not None}


def _lineages(entry: ModelVersion) -> dict[str, list[str]]:
    return {name: list(spec.lineages) for name, spec in entry.manifest.backends.items()}
