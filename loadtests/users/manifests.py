"""Which model the users ask for: a manifest on disk, or the one a running gateway describes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from gateway.errors import GatewayError
from gateway.models.manifest import MANIFEST_NAME, Manifest, Output
from gateway.models.repository import Repository
from loadtests.compare.errors import CompareError

REPOSITORY_VARIABLE = "LOADTEST_REPOSITORY"
MODEL_VARIABLE = "LOADTEST_MODEL"
_REPOSITORY = Path(__file__).parents[2] / "serving" / "repository"


def load_manifest(environ: Mapping[str, str] = os.environ) -> Manifest:
    """The manifest of the model ``LOADTEST_MODEL`` in the repository ``LOADTEST_REPOSITORY``.

    By default the project's own repository, and the only model in it. Raises
    :class:`CompareError` where there is no such model.
    """
    path = Path(environ.get(REPOSITORY_VARIABLE) or _REPOSITORY)
    try:
        repository = Repository.scan(path)
        return repository.get(environ.get(MODEL_VARIABLE) or None).manifest
    except GatewayError as error:
        raise CompareError(
            f"{path}: {error.detail} ({REPOSITORY_VARIABLE} and {MODEL_VARIABLE} say which model)"
        ) from error


def described(description: Mapping[str, Any]) -> Manifest:
    """The manifest as far as ``GET /v1/models/{name}`` tells it: all but the backends' options.

    Raises :class:`CompareError` where it is no such description.
    """
    try:
        backends: dict[str, Any] = {
            backend: {"lineages": {lineage: {} for lineage in lineages}}
            for backend, lineages in description["backends"].items()
        }
        return msgspec.convert({**description, "backends": backends}, _Known).manifest()
    except (KeyError, AttributeError, TypeError, msgspec.ValidationError) as error:
        raise CompareError(f"the gateway describes its model in another form: {error}") from error


def write_repository(manifest: Manifest, folder: Path) -> Path:
    """A repository that holds this manifest, without any artifacts; returns ``folder``."""
    model = folder / manifest.name
    (model / "1").mkdir(parents=True)
    content = yaml.safe_dump(msgspec.to_builtins(manifest), sort_keys=False, allow_unicode=True)
    (model / MANIFEST_NAME).write_text(content, encoding="utf-8")
    return folder


class _Known(msgspec.Struct):
    """The parts of a description that a manifest has, too; others are left out."""

    name: str
    features: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    backends: dict[str, Any]
    out_of_range: str
    parity: dict[str, Any]

    def manifest(self) -> Manifest:
        outputs = [
            {key: value for key, value in output.items() if key in Output.__struct_fields__}
            for output in self.outputs
        ]
        return msgspec.convert(msgspec.to_builtins(self) | {"outputs": outputs}, Manifest)
