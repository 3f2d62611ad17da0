"""The graph an experiment is about: a model's own, or any ``.onnx`` file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from gateway.backends.onnx import OnnxBackend, OnnxOptions
from gateway.models.derive import LINEAGE
from gateway.models.graph import Graph
from gateway.models.manifest import Manifest
from gateway.models.repository import ModelVersion, Repository
from gateway.models.rows import Array
from serving.experiments.draws import draw_rows
from serving.experiments.errors import ExperimentError


@dataclass(frozen=True)
class Subject:
    """A graph's file, the manifest that describes what it takes, and its name for the tables."""

    name: str
    path: Path
    manifest: Manifest
    options: OnnxOptions

    @classmethod
    def of(cls, name: str, path: Path, version: ModelVersion, lineage: str = LINEAGE) -> Self:
        """``path`` as the lineage of a model version takes it; of a plain file the only one."""
        options = version.manifest.backends[OnnxBackend.name].lineages[lineage]
        return cls(name, path, version.manifest, msgspec.convert(options, OnnxOptions))

    def open(self, path: Path | None = None) -> Graph:
        """The graph as the gateway serves it, with one thread; ``path`` is another form of it.

        Raises :class:`ModelError` where it cannot be loaded.
        """
        return self.options.open(path or self.path, self.manifest)

    def batches(self, wanted: Sequence[int]) -> Sequence[int]:
        """The batch sizes to measure: those wanted, or the one size a call of the graph has."""
        graph = self.open()
        if not graph.batched:
            return [1]
        return wanted if graph.fixed_batch is None else [graph.fixed_batch]

    def feeds(self, count: int, seed: int) -> dict[str, Array]:
        """``count`` drawn rows as the graph takes them, an array per input by its own name."""
        return self.open().feeds(draw_rows(self.manifest, count, seed))


def find_subjects(repository: Path, model: str | None, graph: Path | None) -> list[Subject]:
    """The graphs of a model's newest version, one a lineage; or the one of ``graph``.

    Raises:
        ExperimentError: the model has no graph, or ``graph`` is not a file.
        ModelError: the repository or the file cannot be read.
        NotFound: there is no such model.
        InvalidRequest: there are several models and ``model`` does not say which.
    """
    if graph is not None:
        if not graph.is_file() or graph.suffix != ".onnx":
            raise ExperimentError(f"{graph}: there is no such .onnx file")
        version = Repository.scan(graph).get()
        return [Subject.of(graph.name, graph, version)]
    version = Repository.scan(repository).get(model)
    spec = version.manifest.backends.get(OnnxBackend.name)
    if spec is None:
        raise ExperimentError(f"{version.name}: its manifest names no graph for ONNX Runtime")
    return [_subject(version, lineage) for lineage in spec.lineages]


def _subject(version: ModelVersion, lineage: str) -> Subject:
    options = version.manifest.backends[OnnxBackend.name].lineages[lineage]
    artifact = msgspec.convert(options, OnnxOptions).artifact
    name = f"{version.name}/{version.version}/{artifact}"
    return Subject.of(name, version.artifact(artifact), version, lineage)
