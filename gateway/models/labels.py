"""Words for numbers: the label of each row of an answer, from its probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gateway.models.manifest import Manifest, Output
from gateway.models.rows import Array

#: Where one probability stands for two labels: from here on it is the second.
THRESHOLD = 0.5


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


def _column(output: Output, values: Array) -> list[Any]:
    labels = output.labels or ()
    array: Any = values
    if array.dtype.kind not in "fiub":
        raise ValueError(f"output {output.name} has labels, and is no number")
    if array.ndim == 1:
        threshold = THRESHOLD if output.threshold is None else output.threshold
        chosen = (array >= threshold).astype(np.intp)
        finite = np.isfinite(array)
    elif array.ndim == 2 and array.shape[1] == len(labels):
        chosen = array.argmax(axis=1)
        finite = np.isfinite(array).all(axis=1)
    else:
        size = "×".join(map(str, array.shape[1:]))
        raise ValueError(f"output {output.name} has {size} values a row for {len(labels)} labels")
    return [
        labels[index] if known else None
        for index, known in zip(chosen.tolist(), finite.tolist(), strict=True)
    ]
