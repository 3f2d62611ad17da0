"""Words for numbers: the label of each row of an answer, from its probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gateway.models.manifest import Manifest, Output
from gateway.models.rows import Array

#: Where one probability stands for two labels and the manifest says no other: from here on it is
#: the second.
_THRESHOLD = 0.5


class Labels:
    """The labels of one model's outputs; ``keys`` says where in an answer each output's stands."""

    def __init__(self, manifest: Manifest) -> None:
        self._outputs = {output.name: output for output in manifest.outputs if output.labels}
        self.keys = manifest.label_keys

    def columns(self, outputs: Mapping[str, Array]) -> dict[str, list[Any]]:
        """By key one label per row; None where the numbers are not finite.

        Raises ValueError where an output has another number of values than there are labels.
        """
        return {
            self.keys[name]: _column(output, outputs[name])
            for name, output in self._outputs.items()
        }


def threshold_of(output: Output) -> float | None:
    """From where on one probability is the second label; None where none stands for two."""
    if not output.labels or output.shape:
        return None
    return _THRESHOLD if output.threshold is None else output.threshold


def _column(output: Output, values: Array) -> list[Any]:
    labels = output.labels or ()
    array: Any = values
    if array.dtype.kind not in "fiub":
        raise ValueError(f"output {output.name} has labels, and is no number")
    threshold = threshold_of(output)
    if array.ndim == 1 and threshold is not None:
        chosen = (array >= threshold).astype(np.intp)
        finite = np.isfinite(array)
    elif array.ndim == 2 and array.shape[1] == len(labels):
        chosen = array.argmax(axis=1)
        finite = np.isfinite(array).all(axis=1)
    else:
        size = "×".join(map(str, array.shape[1:])) or "1"
        raise ValueError(f"output {output.name} has {size} values a row for {len(labels)} labels")
    return [
        labels[index] if known else None
        for index, known in zip(chosen.tolist(), finite.tolist(), strict=True)
    ]
