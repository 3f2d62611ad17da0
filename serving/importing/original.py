"""A trained model as the import sees it, whichever framework it comes from."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from gateway.models.manifest import BackendSpec, Output, TensorType
from gateway.models.rows import Array
from serving.importing.errors import ImportRefused
from serving.importing.spec import Spec

#: One array (rows, …) per input of a model.
Feeds = Mapping[str, Array]


@dataclass(frozen=True)
class Candidate:
    """An exported graph; its inputs are the model's, its outputs are the names of the answers.

    `number` is the dtype that numbers have in it: float64 where float32 is not exact enough.
    """

    graph: onnx.ModelProto
    number: TensorType = "float32"


@dataclass(frozen=True)
class Companion:
    """A file or folder beside the graph, for another server: its lineage's entry in the manifest.

    `difference` is the greatest from the graph's answers, where it was measured.
    """

    backend: str
    options: dict[str, Any]
    file: str
    difference: float


@dataclass
class Original(abc.ABC):
    """What was loaded: the model itself, what it takes, and how it becomes a graph.

    `kind` says in words what it is, `lineage` is its name in the manifest, `files` are what it was
    loaded from, `packages` are the distributions whose versions the card tells. `notes` are for
    the user: what was left out, and why. With `judges_gaps` the model itself refuses rows with a
    missing number, unless it was made for that.
    """

    kind: str
    lineage: str
    inputs: tuple[Spec, ...]
    files: tuple[Path, ...]
    packages: tuple[str, ...]
    notes: list[str] = field(default_factory=list, kw_only=True)
    judges_gaps: bool = field(default=False, kw_only=True)

    @abc.abstractmethod
    def answer(self, feeds: Feeds) -> dict[str, Array]:
        """The model's own answer, by output; `feeds` has one array (rows, …) per input."""

    @abc.abstractmethod
    def candidates(self, feeds: Feeds) -> Iterator[Candidate]:
        """Graphs of the model, the cheapest first; raises ImportRefused where there is none."""

    def outputs(self, answers: Mapping[str, Array]) -> tuple[Output, ...]:
        """The outputs in the manifest, from the answers to some rows."""
        return tuple(Output(name, shape=row_shape(answer)) for name, answer in answers.items())

    def labels(self, feeds: Feeds) -> Array | None:
        """The class the model itself names for each row, (rows,) of str, where it names one."""
        return None

    def backends(self, artifact: str) -> dict[str, BackendSpec]:
        """The manifest's backends: the graph, in the file `artifact`."""
        return {"onnx": BackendSpec({self.lineage: {"artifact": artifact}})}

    def companions(
        self,
        manifest: Path,
        version: Path,
        front: onnx.ModelProto | None,
        feeds: Feeds,
        tolerance: float,
    ) -> list[Companion]:
        """Write what other servers load into the folder `version`; see :class:`Companion`.

        `manifest` is the model's ``model.yaml``; `front` is the graph from its features to the
        model's one input, None where they are the same. `feeds` are the model's own inputs.
        Raises ImportRefused where one of them answers something else, beyond `tolerance`.
        """
        return []

    def tensor(self, feeds: Feeds) -> Array:
        """What a preprocessing graph makes of the features: the model's one input, (rows, …)."""
        (spec,) = self.inputs
        return feeds[spec.name].astype(np.dtype(object if spec.dtype == "string" else spec.dtype))


def row_shape(answer: Array) -> tuple[int | None, ...]:
    """The shape of one row of an output, () for a single value."""
    shape = answer.shape[1:]
    return () if shape == (1,) else shape


def named(
    values: Any, wanted: Sequence[str], to_array: Any, rows: int, fallback: str = "output"
) -> dict[str, Array]:
    """What a network answered, a tensor, a list or a mapping of them, as arrays by name.

    `wanted` renames them in order. Raises ImportRefused where something is no tensor of one entry
    per row, or the names are too many or too few.
    """
    if isinstance(values, Mapping):
        names, parts = [str(name) for name in values], list(values.values())
    elif isinstance(values, list | tuple):
        names = [f"{fallback}_{index}" for index in range(len(values))]
        parts = list(values)
    else:
        names, parts = [fallback], [values]
    names = names if len(parts) != 1 or isinstance(values, Mapping) else [fallback]
    if wanted and len(wanted) != len(parts):
        raise ImportRefused(f"--output: the model answers {len(parts)} outputs, {names}")
    answers: dict[str, Array] = {}
    for name, part in zip(wanted or names, parts, strict=True):
        try:
            array = np.asarray(to_array(part))
        except Exception as error:
            raise ImportRefused(f"output {name} is a {type(part).__name__}, no tensor") from error
        if array.ndim == 0 or len(array) != rows:
            raise ImportRefused(
                f"output {name} has shape {array.shape} for {rows} rows: its first dimension must"
                " be the batch"
            )
        answers[name] = array
    return answers
