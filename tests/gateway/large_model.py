"""A model of more than 2 GB, its parameters in a file beside it, served and asked over HTTP.

``python -m tests.gateway.large_model`` makes it in a temporary folder and prints what came of it;
docs/onnx-models.md quotes a run. It needs 2.1 GB of disk, so CI serves a small one of its kind.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.processes import Gateway

#: The table's columns; its 10⁶ rows of float32 are 2,100,000,000 bytes.
WIDTH = 525
ROWS = 1_000_000
#: Rows that are written at a time.
_CHUNK = 10_000


@dataclass(frozen=True)
class Found:
    """What was seen of one model: sizes in bytes, times in seconds, memory in MB (10⁶ bytes)."""

    graph_bytes: int
    table_bytes: int
    start_s: float
    rss_start_mb: float
    answer_s: float
    rss_mb: float
    asked: tuple[int, ...]

    def __str__(self) -> str:
        rows = ", ".join(f"{row:,}" for row in self.asked)
        return (
            f"graph {self.graph_bytes:,} bytes, parameters beside it {self.table_bytes:,} bytes\n"
            f"listening after {self.start_s:.1f} s, with {self.rss_start_mb:,.0f} MB resident\n"
            f"rows {rows} answered as expected in {self.answer_s * 1e3:.1f} ms; "
            f"{self.rss_mb:,.0f} MB resident"
        )


def table_graph(folder: Path, rows: int) -> Path:
    """Write ``table.onnx``, which answers a row of a table by its number, and ``table.bin``.

    Row i's column j is i − j, so that no two rows and no two places are alike; float32 is exact.
    """
    columns = np.arange(WIDTH, dtype=np.float32)
    with (folder / "table.bin").open("wb") as file:
        for start in range(0, rows, _CHUNK):
            numbers = np.arange(start, min(rows, start + _CHUNK), dtype=np.float32)
            file.write((numbers[:, None] - columns).tobytes())
    table = TensorProto(name="table", data_type=TensorProto.FLOAT, dims=[rows, WIDTH])
    table.data_location = TensorProto.EXTERNAL
    table.external_data.add(key="location", value="table.bin")
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "row"], ["values"])],
        "table",
        [helper.make_tensor_value_info("row", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, ["n", WIDTH])],
        [table],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    path = folder / "table.onnx"
    onnx.save(model, path)
    onnx.checker.check_model(str(path), full_check=True)
    return path


def run(folder: Path, rows: int = ROWS) -> Found:
    """Make a table of so many rows, serve it, and ask for the first two and the last one.

    Raises AssertionError where an answer is another than expected.
    """
    path = table_graph(folder, rows)
    started = time.perf_counter()
    with Gateway(path) as gateway:
        start_s = time.perf_counter() - started
        before = gateway.rss_mb()
        asked = (0, 1, rows - 1)
        body = json.dumps({"instances": [{"row": row} for row in asked]}).encode()
        request = Request(f"{gateway.url}/v1/predict", body, {"Content-Type": "application/json"})
        started = time.perf_counter()
        with urlopen(request, timeout=60) as response:
            predictions = json.load(response)["predictions"]
        answer_s = time.perf_counter() - started
        for row, prediction in zip(asked, predictions, strict=True):
            assert prediction["values"] == [row - column for column in range(WIDTH)], row
        sizes = path.stat().st_size, (folder / "table.bin").stat().st_size
        return Found(*sizes, start_s, before, answer_s, gateway.rss_mb(), asked)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(run(Path(scratch)))
