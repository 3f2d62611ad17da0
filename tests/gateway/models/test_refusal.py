"""Which of ONNX Runtime's failures are the request's, in words that a client may read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from gateway.models.graph import Graph
from gateway.models.refusal import refusal
from tests.conftest import save


def failure(path: Path, op: str, feeds: dict[str, Any], weight: Any = None) -> Exception:
    """What ONNX Runtime raises when an operator is called with these inputs."""
    inputs = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(value.dtype), [None] * value.ndim
        )
        for name, value in feeds.items()
    ]
    constants = []
    if weight is not None:
        array = np.asarray(weight)
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        constants = [helper.make_tensor("w", kind, array.shape, array.ravel().tolist())]
    names = ["w", *feeds] if op == "Gather" else [*feeds, *(["w"] if constants else [])]
    node = helper.make_node(op, names, ["y"])
    output = helper.make_tensor_value_info(
        "y", TensorProto.FLOAT, [None] * (3 if op == "Gather" else 2)
    )
    save(helper.make_graph([node], "g", inputs, [output], constants), path)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - ONNX Runtime's have no base
        Graph(path, threads=1).call(feeds)
    return caught.value


SHORT, LONG = np.zeros((1, 3), np.float32), np.zeros((1, 4), np.float32)
WEIGHT = np.zeros((5, 2), np.float32)


@pytest.mark.parametrize(
    ("op", "feeds", "weight", "said"),
    [
        ("Mul", {"a": SHORT, "b": LONG}, None, "Mul: Attempting to broadcast an axis"),
        ("MatMul", {"a": SHORT}, WEIGHT, "MatMul: Compute MatMul dimension mismatch"),
        ("Reshape", {"a": LONG}, np.array([-1, 3]), "Reshape: The input tensor cannot be"),
        (
            "Reshape",
            {"a": LONG, "shape": np.full(30, 7)},
            None,
            "Reshape: The requested shape has too many",
        ),
    ],
)
def test_dimensions_that_do_not_fit_are_a_refusal_of_a_graph_that_works(
    tmp_path: Path, op: str, feeds: dict[str, Any], weight: Any, said: str
) -> None:
    error = failure(tmp_path / "g.onnx", op, feeds, weight)
    assert refusal(error, proven=False) is None
    words = refusal(error, proven=True) or ""
    assert words.startswith(said)
    assert "\n" not in words
    assert ".h:" not in words
    assert str(tmp_path) not in words


def test_an_index_that_does_not_fit_is_one_of_any_graph(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    error = failure(tmp_path / "g.onnx", "Gather", {"ids": np.array([[1, 99]])}, WEIGHT)
    for proven in (True, False):
        words = refusal(error, proven) or ""
        assert words.startswith("Gather: indices element out of data bounds, idx=99")
    assert capfd.readouterr().err == ""  # clients could fill the log


def test_short_memory_is_none(tmp_path: Path) -> None:
    feeds = {"a": SHORT, "s": np.array([2**40, 3])}
    error = failure(tmp_path / "g.onnx", "Expand", feeds)
    assert "allocate memory" in str(error)
    assert refusal(error, proven=True) is None
    assert refusal(ValueError("something else"), proven=True) is None
