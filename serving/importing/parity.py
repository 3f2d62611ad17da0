"""Whether the exported graph, fed as the gateway feeds it, answers what the original answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gateway.errors import GatewayError
from gateway.models.graph import Graph
from gateway.models.manifest import Feature, Manifest, Output
from gateway.models.rows import Array, Rows
from gateway.models.validator import Validator
from serving.differences import largest
from serving.importing.errors import ImportRefused, refusing

#: Smallest tolerance unless another is asked for, and its part of the greatest answer: float32
#: carries 7 digits, of which sums lose one.
ABSOLUTE, RELATIVE = 1e-4, 1e-6


@dataclass(frozen=True)
class Parity:
    """What the comparison found: per output the greatest difference, in the output's unit.

    For an output that is no number it is the part of rows that differ, which must be 0.
    """

    rows: int
    tolerance: float
    greatest_difference: dict[str, float]


def default_tolerance(answers: Mapping[str, Array]) -> float:
    """:data:`ABSOLUTE`, or more where answers are so large that float32 cannot be as exact."""
    largest = max(
        (float(np.max(np.abs(a))) for a in answers.values() if a.dtype.kind == "f" and a.size),
        default=0.0,
    )
    wanted = max(ABSOLUTE, RELATIVE * largest) if math.isfinite(largest) else ABSOLUTE
    digit = 10.0 ** math.floor(math.log10(wanted))
    return float(f"{math.ceil(round(wanted / digit, 6)) * digit:.1g}")


def rows_of(
    manifest: Manifest, columns: Mapping[str, Array], pictures: Mapping[str, Sequence[str]]
) -> Rows:
    """The columns as rows that went through the gateway's own validator, NaN as null.

    `pictures` are sent instead of the columns of the same name.
    """
    lists = {
        feature.name: pictures.get(feature.name) or _values(feature, columns[feature.name])
        for feature in manifest.features
    }
    objects = [
        dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)
    ]
    try:
        return Validator(manifest, each_alone=True).convert(objects)
    except GatewayError as error:
        raise ImportRefused(f"the sample does not fit the manifest: {error.detail}") from error


def _values(feature: Feature, column: Array) -> list[Any]:
    values: list[Any] = column.tolist()
    if feature.type == "number" and not feature.finite:
        return [None if math.isnan(value) else value for value in values]
    return values


def compare(
    path: Path, rows: Rows, answers: Mapping[str, Array], tolerance: float
) -> tuple[Parity, dict[str, Array]]:
    """Run the graph on the rows, in one batch; returns what it answered too.

    Raises ImportRefused where an output is absent, differs in shape or by more than `tolerance`.
    """
    with refusing("the exported graph cannot run"):
        found = Graph(path, threads=1).run(rows)
    differences = {
        name: difference(name, found[name], answer, tolerance) for name, answer in answers.items()
    }
    return Parity(rows.count, tolerance, differences), dict(found)


def compare_preprocessing(path: Path, rows: Rows, tensor: Array, tolerance: float) -> float:
    """Run the graph from the rows to a model's one input, (rows, …), which `tensor` must equal.

    Returns the greatest difference; raises ImportRefused beyond `tolerance`.
    """
    with refusing(f"{path.name} cannot run"):
        (found,) = Graph(path, threads=1).run(rows).values()
    return difference(path.name, found, tensor, tolerance)


def difference(name: str, found: Array, answer: Array, tolerance: float) -> float:
    """The greatest difference of two outputs; raises ImportRefused beyond `tolerance`."""
    if found.shape != answer.shape:
        # (rows,) and (rows, 1) are one value per row, both.
        if found.size != answer.size or found.size != len(answer):
            raise ImportRefused(
                f"output {name}: the export answers shape {found.shape}, the original"
                f" {answer.shape}"
            )
        found = found.reshape(answer.shape)
    if answer.dtype.kind not in "fiu":
        differing = float(np.mean(found.astype(str) != answer.astype(str)))
        if differing:
            raise ImportRefused(f"output {name}: the export differs in {differing:.1%} of the rows")
        return differing
    greatest = largest(found, answer)
    allowed = tolerance if answer.dtype.kind == "f" else 0.0
    if greatest > allowed:
        raise ImportRefused(
            f"output {name}: the export differs from the original by {greatest:.3g}, more than the"
            f" tolerance of {allowed:g}; if that is good enough, say so by --tolerance"
        )
    return greatest


def check_labels(output: Output, found: Array, named: Array) -> None:
    """Raise ImportRefused where the label made of an output is not what the model itself named.

    `found` is the graph's output, (rows, labels); `named` are the model's own, (rows,) of str.
    """
    chosen = np.array(output.labels, object)[np.argmax(found, axis=1)]
    differ = int(np.sum(chosen.astype(str) != named.astype(str)))
    if differ:
        raise ImportRefused(
            f"output {output.name}: its greatest entry is not the class the model predicts in"
            f" {differ} of {len(named)} rows; the model's probabilities and classes do not agree"
        )


def finite(answers: Mapping[str, Array]) -> None:
    """Raise ImportRefused where the original itself answers what is no number."""
    for name, answer in answers.items():
        if answer.dtype.kind == "f" and not np.isfinite(answer).all():
            raise ImportRefused(f"output {name}: the model answers NaN or infinity on the sample")
