"""The ONNX files that a command line's MODEL means: a file, a model's folder, or a model's name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.backends.onnx import OnnxBackend, OnnxOptions
from gateway.config import Settings
from gateway.errors import ConfigError, ModelError, NotFound
from gateway.models.manifest import MANIFEST_NAME
from gateway.models.repository import ModelVersion, Repository


@dataclass(frozen=True)
class GraphFile:
    """A file, the model version it belongs to, and the ONNX Runtime lineage it is.

    ``model`` is None for a file no manifest tells of, ``lineage`` for one that serves other ends.
    """

    path: Path
    model: ModelVersion | None = None
    lineage: str | None = None

    @property
    def name(self) -> str:
        """The file within its model, or its own name."""
        if self.model is None:
            return self.path.name
        return f"{self.model.name}/{self.model.version}/{self.path.name}"


def find_files(
    given: str, settings: Settings, version: str | None = None, lineage: str | None = None
) -> list[GraphFile]:
    """All files ``given`` means, those that ONNX Runtime serves first; never none.

    Without ``version`` the newest. Raises :class:`ModelError` where there is no such thing,
    :class:`NotFound` listing what there is for an unknown model, version or lineage, and
    :class:`ConfigError` for the version of a single file.
    """
    path = Path(given)
    if path.is_file():
        if version is not None:
            raise ConfigError(f"--version is for a model, and {given} is one file")
        found = [_file(path)]
    else:
        found = list(_files(_model(given, settings, version)))
        if not found:
            raise ModelError(f"{given}: there is no .onnx file")
    if lineage is None:
        return found
    chosen = [file for file in found if file.lineage == lineage]
    if not chosen:
        raise NotFound("lineage", lineage, [file.lineage for file in found if file.lineage])
    return chosen


def _file(path: Path) -> GraphFile:
    if path.suffix != ".onnx":
        raise ModelError(f"{path}: it is no .onnx file")
    folder = path.resolve().parent
    if not (folder.name.isdecimal() and (folder.parent / MANIFEST_NAME).is_file()):
        return GraphFile(path)
    version = Repository.scan(folder.parent).models
    for versions in version.values():
        for file in _files(versions[folder.name]):
            if file.path == path.resolve():
                return GraphFile(path, file.model, file.lineage)
    return GraphFile(path)


def _model(given: str, settings: Settings, version: str | None) -> ModelVersion:
    if Path(given).is_dir():
        repository = Repository.scan(Path(given))
        if not repository.models:
            raise ModelError("; ".join(repository.failures.values()))
        if len(repository.models) > 1:
            raise ModelError(f"{given}: it holds several models: {', '.join(repository.models)}")
        return repository.get(None, version)
    if given.endswith(".onnx") or "/" in given:
        raise ModelError(f"{given}: there is no such file or folder")
    repository = Repository.scan(Path(settings.repository))
    if given in repository.failures:
        raise ModelError(repository.failures[given])
    return repository.get(given, version)


def _files(model: ModelVersion) -> Iterable[GraphFile]:
    spec = model.manifest.backends.get(OnnxBackend.name)
    served: set[Path] = set()
    for lineage, options in spec.lineages.items() if spec is not None else ():
        try:
            path = model.artifact(msgspec.convert(options, OnnxOptions).artifact)
        except msgspec.ValidationError as error:
            raise ModelError(f"{model.name}: lineage {lineage}: {error}") from error
        served.add(path)
        yield GraphFile(path, model, lineage)
    if not (model.folder.parent / MANIFEST_NAME).is_file():
        return  # a plain file: what lies beside it is not the model's
    for path in sorted(model.folder.resolve().rglob("*.onnx")):
        if path not in served:
            yield GraphFile(path, model)
