"""What the servers are given from a model repository: archives and SavedModels."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ModelError
from gateway.models.manifest import Manifest
from gateway.models.repository import Repository
from serving.launch.errors import LaunchError
from serving.layout import SAVED_MODEL

_BUILD = "build it with: python -m serving build"


@dataclass(frozen=True, slots=True)
class Archive:
    """A TorchServe archive and the name and version its own manifest gives it."""

    path: Path
    name: str
    version: str


def archives(repository: Path, *, required: bool = True) -> list[Archive]:
    """The archives in the newest version of each model.

    Raises :class:`LaunchError` if there are none, unless they are not ``required``.
    """
    models = _scan(repository)
    found: dict[str, Archive] = {}
    for name in models.models:
        for path in sorted(models.get(name).folder.glob("*.mar")):
            archive = _read_archive(path)
            if archive.name in found:
                raise LaunchError(
                    f"{path} and {found[archive.name].path} both hold a model named {archive.name}"
                )
            found[archive.name] = archive
    if required and not found:
        raise LaunchError(f"no TorchServe archive (*.mar) in {repository}; {_BUILD}")
    return list(found.values())


def saved_models(repository: Path, *, required: bool = True) -> dict[str, dict[str, Path]]:
    """Per name a model has on TensorFlow Serving: version → SavedModel folder.

    The names are those of the manifest's ``tfserving`` backend. Raises :class:`LaunchError` if
    there are none, unless they are not ``required``.
    """
    found: dict[str, dict[str, Path]] = {}
    for versions in _scan(repository).models.values():
        exported = {
            number: entry.folder / SAVED_MODEL
            for number, entry in versions.items()
            if (entry.folder / SAVED_MODEL).is_dir()
        }
        manifest = next(iter(versions.values())).manifest
        if exported:
            found.update(dict.fromkeys(_served_names(manifest), exported))
    if required and not found:
        raise LaunchError(f"no SavedModel (<version>/{SAVED_MODEL}) in {repository}; {_BUILD}")
    return found


def _scan(repository: Path) -> Repository:
    try:
        return Repository.scan(repository)
    except ModelError as error:
        raise LaunchError(error.detail) from error


def _served_names(manifest: Manifest) -> set[str]:
    backend = manifest.backends.get("tfserving")
    lineages = {} if backend is None else backend.lineages
    return {str(options.get("model", manifest.name)) for options in lineages.values()}


def _read_archive(path: Path) -> Archive:
    try:
        with zipfile.ZipFile(path) as archive:
            model = json.loads(archive.read("MAR-INF/MANIFEST.json"))["model"]
        return Archive(path, str(model["modelName"]), str(model["modelVersion"]))
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
        raise LaunchError(f"{path} is not a TorchServe archive: {error!r}") from error
