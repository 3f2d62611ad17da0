"""ONNX Runtime as every opponent uses it: raw features in, predictions out, one thread.

Shared by the programs beside it, which run in environments of their own; needs nothing but numpy
and onnxruntime.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort

#: Where the benchmark says which graph to serve.
MODEL = "BENCH_MODEL"


class Session:
    """The graph that ``BENCH_MODEL`` names.

    One thread, because the server has one core; ONNX Runtime would count the machine's cores.
    """

    def __init__(self, path: str | None = None) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(
            path or os.environ[MODEL], options, providers=["CPUExecutionProvider"]
        )
        self._dtypes: dict[str, Any] = {
            node.name: object if node.type == "tensor(string)" else np.float32
            for node in self._session.get_inputs()
        }

    @property
    def names(self) -> list[str]:
        """The features, in the graph's order."""
        return list(self._dtypes)

    def is_text(self, name: str) -> bool:
        """Whether the feature takes strings."""
        return self._dtypes[name] is object

    def run(self, columns: Mapping[str, Any]) -> list[float]:
        """Predict from columns of n values each, lists or arrays; n predictions."""
        feeds = {
            name: np.asarray(columns[name], dtype=dtype).reshape(-1, 1)
            for name, dtype in self._dtypes.items()
        }
        (answer,) = self._session.run(None, feeds)
        values: list[float] = answer[:, 0].tolist()
        return values

    def run_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[float]:
        """Predict from n rows, each with every feature by name."""
        return self.run({name: [row[name] for row in rows] for name in self._dtypes})
