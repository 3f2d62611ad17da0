"""The models on disk: a folder each, a sub-folder a version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from gateway.errors import InvalidRequest, ModelError, NotFound, words_of
from gateway.models.image_feature import MAX_PIXELS
from gateway.models.labels import Labels
from gateway.models.manifest import MANIFEST_NAME, Manifest
from gateway.models.plain import Source, describe
from gateway.models.validator import MAX_INSTANCES, Validator


@dataclass(frozen=True, eq=False)
class ModelVersion:
    """One servable version: its manifest, its folder of artifacts, its validator.

    ``source`` is the plain file it is, None where a manifest describes it.
    """

    manifest: Manifest
    version: str
    folder: Path
    validator: Validator = field(repr=False)
    source: Source | None = None

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def origin(self) -> str:
        """The name of the file or folder the model was read from."""
        return self.folder.parent.name if self.source is None else self.source.path.name

    @cached_property
    def labels(self) -> Labels | None:
        """The labels its answers carry, if any."""
        labels = Labels(self.manifest)
        return labels if labels.keys else None

    def artifact(self, name: str) -> Path:
        """The path of a file of this version; raises :class:`ModelError` if there is none."""
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise ModelError(f"{self.name}/{self.version}: {name} lies outside the model's folder")
        if not path.is_file():
            raise ModelError(f"{self.name}/{self.version}: there is no {name}")
        return path


class Repository:
    """Models by name and version; ``failures`` says why a folder could not be read.

    ``refused`` says why a version that was added later is not served; the others still are.
    ``path`` is where it was read from, None where it was put together by hand. ``described`` holds
    the manifests derived from plain files.
    """

    def __init__(self) -> None:
        self.models: dict[str, dict[str, ModelVersion]] = {}
        self.failures: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.described: dict[Source, Manifest] = {}
        self.path: Path | None = None
        self.max_instances = MAX_INSTANCES
        self.max_pixels = MAX_PIXELS

    @classmethod
    def scan(
        cls,
        path: Path,
        max_instances: int = MAX_INSTANCES,
        max_pixels: int = MAX_PIXELS,
        described: Mapping[Source, Manifest] | None = None,
    ) -> Repository:
        """Read a repository of models, a single model folder, or a plain ``.onnx`` file.

        In a repository a model is a folder with a manifest or a plain ``.onnx`` file. What cannot
        be read goes to ``failures``; the others are served. ``described`` are manifests of plain
        files from an earlier look. Raises :class:`ModelError` where there is nothing at ``path`` to
        serve.
        """
        repository = cls()
        repository.path, repository.max_instances = path, max_instances
        repository.max_pixels = max_pixels
        if path.suffix == ".onnx" and path.is_file():
            repository._add_plain(path, described or {})
            return repository
        if (path / MANIFEST_NAME).is_file():
            folders, files = [path], []
        else:
            folders = sorted(folder.parent for folder in path.glob(f"*/{MANIFEST_NAME}"))
            files = sorted(file for file in path.glob("*.onnx") if file.is_file())
        for folder in folders:
            try:
                manifest = Manifest.load(folder)
                versions = [v for v in folder.iterdir() if v.is_dir() and v.name.isdecimal()]
                if not versions:
                    raise ModelError(f"{folder}: there is no version, a sub-folder named 1, 2, …")
                for version in sorted(versions, key=lambda v: int(v.name)):
                    repository.add(manifest, version.name, version)
            except Exception as error:  # whatever it is, the others are served
                repository.failures[folder.name] = words_of(error)
        for file in files:
            try:
                repository._add_plain(file, described or {})
            except ModelError as error:
                repository.failures[file.name] = error.detail
        if not repository.models and not repository.failures:
            raise ModelError(
                f"{path}: there is no model, a folder with a {MANIFEST_NAME} or an .onnx file"
            )
        return repository

    def _add_plain(self, file: Path, described: Mapping[Source, Manifest]) -> None:
        source, manifest = describe(file, described)
        self.described[source] = manifest
        if manifest.name in self.models:
            raise ModelError(f"{file.name}: there is a model named {manifest.name} already")
        self.add(manifest, "1", file.parent, source)

    def add(
        self, manifest: Manifest, version: str, folder: Path, source: Source | None = None
    ) -> ModelVersion:
        """Add one version of a model."""
        validator = Validator(manifest, self.max_instances, self.max_pixels)
        entry = ModelVersion(manifest, version, folder, validator, source)
        self.models.setdefault(manifest.name, {})[version] = entry
        return entry

    def get(self, model: str | None = None, version: str | None = None) -> ModelVersion:
        """The version asked for; the newest without ``version``, the only model without ``model``.

        Raises :class:`NotFound` listing what there is.
        """
        if model is None:
            if len(self.models) != 1:
                names = list(self.models)
                raise InvalidRequest(
                    f"model: say which with ?model=; there is: {', '.join(names)}",
                    field="model",
                    allowed=names,
                )
            versions = next(iter(self.models.values()))
        elif model in self.models:
            versions = self.models[model]
        else:
            raise NotFound("model", model, list(self.models))
        if version is None:
            return versions[max(versions, key=int)]
        if version not in versions:
            name = next(iter(versions.values())).name
            raise NotFound("version", version, list(versions), f" of model {name}")
        return versions[version]

    def remove(self, entry: ModelVersion) -> None:
        """Take a version out, unless another has its place; its model goes with the last."""
        versions = self.models[entry.name]
        if versions.get(entry.version) is not entry:
            return
        del versions[entry.version]
        if not versions:
            del self.models[entry.name]

    def __iter__(self) -> Iterator[ModelVersion]:
        models = list(self.models.values())
        return (entry for versions in models for entry in list(versions.values()))
