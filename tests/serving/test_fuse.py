"""Merged graphs answer as their parts one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from gateway.models.graph import Graph
from gateway.models.rows import Rows
from serving.export.fuse import fuse
from serving.export.keras_files import keras_to_onnx
from serving.export.onnx_file import save
from serving.export.preprocess import transformer_to_onnx
from serving.export.torch_onnx import torch_to_onnx
from serving.weight_change import data, keras_training
from serving.weight_change.definition import COLUMNS, MANIFEST
from serving.weight_change.net import WeightChangeNet
from serving.weight_change.transformer import WIDTH, make_transformer

ROWS = data.generate(2_048, seed=31)


@pytest.fixture(scope="module")
def preprocess() -> onnx.ModelProto:
    transformer = make_transformer().fit(ROWS.matrix())
    return transformer_to_onnx(transformer, MANIFEST.features, WIDTH, "features")


@pytest.fixture(scope="module", params=["pytorch", "tensorflow"])
def net(request: pytest.FixtureRequest) -> onnx.ModelProto:
    if request.param == "pytorch":
        torch.manual_seed(1)
        return torch_to_onnx(WeightChangeNet().eval(), WIDTH, "features", "weight_change")
    keras_net: Any = keras_training.make_net()
    return keras_to_onnx(keras_net, "features", "weight_change")


def test_merged_graph_answers_as_its_parts(
    preprocess: onnx.ModelProto, net: onnx.ModelProto, tmp_path: Path
) -> None:
    before = preprocess.SerializeToString(), net.SerializeToString()
    merged = fuse(preprocess, net, "merged")
    assert (preprocess.SerializeToString(), net.SerializeToString()) == before
    for name, model in (("first", preprocess), ("second", net), ("merged", merged)):
        save(model, tmp_path / f"{name}.onnx")
    rows = ROWS.rows(MANIFEST)
    # An unknown category passes as zeros here too: refusing it is the validator's work.
    rows.columns["gender"][0] = "X"
    tensor = Graph(tmp_path / "first.onnx").run(rows)
    parts = Graph(tmp_path / "second.onnx").run(Rows(dict(tensor), rows.count))
    answer = Graph(tmp_path / "merged.onnx").run(rows)
    assert list(answer) == ["weight_change"]
    assert answer["weight_change"].shape == (rows.count, 1)
    np.testing.assert_array_equal(answer["weight_change"], parts["weight_change"])


def test_merged_graph_keeps_raw_inputs_and_one_entry_per_opset(
    preprocess: onnx.ModelProto, net: onnx.ModelProto
) -> None:
    merged = fuse(preprocess, net, "merged")
    assert [value.name for value in merged.graph.input] == list(COLUMNS)
    assert [value.name for value in merged.graph.output] == ["weight_change"]
    assert merged.ir_version == max(preprocess.ir_version, net.ir_version)
    domains = [opset.domain for opset in merged.opset_import]
    assert domains == ["", "ai.onnx.ml"]
    assert all(node.name.startswith(("preprocess/", "net/")) for node in merged.graph.node)


def test_graphs_whose_names_do_not_meet_are_refused(
    preprocess: onnx.ModelProto, net: onnx.ModelProto
) -> None:
    with pytest.raises(ValueError, match="are not inputs"):
        fuse(net, preprocess, "wrong way round")
