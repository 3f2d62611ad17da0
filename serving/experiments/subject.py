"""The graph an experiment is about: a model's own, or any ``.onnx`` file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.backends.onnx import OnnxBackend, OnnxOptions
from gateway.models.graph import Graph
from gateway.models.manifest import Manifest
from gateway.models.repository import ModelVersion, Repository
from gateway.models.rows import Array
from serving.experiments.draws import draw_rows, feeds
from serving.experiments.errors import ExperimentError


@dataclass(frozen=True)
class Subject:
    """A graph's file, the manifest that describes what it takes, and its name for the tables."""

    name: str
    path: Path
    manifest: Manifest

    def batches(self, wanted: Sequence[int]) -> Sequence[int]:
        """The batch sizes to measure: those wanted, or the one the graph was built for."""
        fixed = Graph(self.path, threads=1).fixed_batch
        return wanted if fixed is None else [fixed]

    def feeds(self, count: int, seed: int) -> dict[str, Array]:
        """``count`` drawn rows as the graph takes them, an array per input."""
        return feeds(Graph(self.path, threads=1), draw_rows(self.manifest, count, seed))


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
        return [Subject(graph.name, graph, version.manifest)]
    version = Repository.scan(repository).get(model)
    spec = version.manifest.backends.get(OnnxBackend.name)
    if spec is None:
        raise ExperimentError(f"{version.name}: its manifest names no graph for ONNX Runtime")
    return [_subject(version, options) for options in spec.lineages.values()]


def _subject(version: ModelVersion, options: dict[str, object]) -> Subject:
    artifact = msgspec.convert(options, OnnxOptions).artifact
    name = f"{version.name}/{version.version}/{artifact}"
    return Subject(name, version.artifact(artifact), version.manifest)
