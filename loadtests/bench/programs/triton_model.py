# mypy: disable-error-code="import-not-found, unused-ignore"
"""Triton's python backend around ONNX Runtime; copied to ``<repository>/<model>/1/model.py``.

``BENCH_PATH`` lists the folders of ``session.py`` and of this environment's packages: the stub that
runs this file is a program of its own and heeds no ``PYTHONPATH``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

sys.path[:0] = os.environ["BENCH_PATH"].split(os.pathsep)

import numpy as np  # noqa: E402
import triton_python_backend_utils as triton  # noqa: E402
from session import Session  # noqa: E402


class TritonPythonModel:
    """The name and the methods are Triton's."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the graph."""
        self._session = Session()

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """One ``session.run`` for all requests the dynamic batcher has joined."""
        columns: dict[str, list[Any]] = {name: [] for name in self._session.names}
        sizes = []
        for request in requests:
            for name, column in columns.items():
                array = triton.get_input_tensor_by_name(request, name).as_numpy()[:, 0]
                column.extend([text.decode() for text in array] if array.dtype == object else array)
            sizes.append(len(array))
        values = np.array(self._session.run(columns), dtype=np.float32).reshape(-1, 1)
        parts = np.split(values, np.cumsum(sizes)[:-1])
        return [
            triton.InferenceResponse(output_tensors=[triton.Tensor("weight_change", part)])
            for part in parts
        ]
