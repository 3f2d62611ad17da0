"""Exports of small networks and transformers that are not the example's, and the manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
import torch
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

from gateway.models.graph import Graph
from gateway.models.manifest import Feature, Manifest, Output
from gateway.models.rows import Rows
from serving import layout
from serving.export import check
from serving.export.check import ParityError
from serving.export.keras_files import keras_to_onnx, keras_to_saved_model
from serving.export.manifest import to_yaml, with_ranges
from serving.export.onnx_file import OPSET, clean, save
from serving.export.preprocess import transformer_to_onnx
from serving.export.torch_onnx import torch_to_onnx
from serving.weight_change.definition import MANIFEST

INPUTS = np.random.default_rng(1).normal(size=(2_048, 3)).astype(np.float32)


@pytest.fixture
def torch_net() -> torch.nn.Module:
    torch.manual_seed(1)
    layers = (torch.nn.Linear(3, 4), torch.nn.Dropout(0.5), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    return torch.nn.Sequential(*layers).eval()


@pytest.fixture
def keras_net() -> Any:
    keras.utils.set_random_seed(1)
    features = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="relu", bias_initializer="normal")(features)
    return keras.Model(features, keras.layers.Dense(2, bias_initializer="normal")(hidden))


def _signature(model: onnx.ModelProto) -> list[tuple[str, int, list[str | int]]]:
    return [
        (
            value.name,
            value.type.tensor_type.elem_type,
            [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
        )
        for value in (*model.graph.input, *model.graph.output)
    ]


def _answer(model: onnx.ModelProto, path: Path, inputs: np.ndarray = INPUTS) -> np.ndarray:
    save(model, path)
    return np.asarray(check.run_graph(path, Rows({"x": inputs}, len(inputs))))


def test_torch_export_answers_as_the_network(torch_net: torch.nn.Module, tmp_path: Path) -> None:
    model = torch_to_onnx(torch_net, 3, "x", "y")
    assert _signature(model) == [("x", 1, ["batch", 3]), ("y", 1, ["batch", 2])]
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    answer = _answer(model, tmp_path / "net.onnx")
    assert check.greatest_difference("net", answer, check.run_torch(torch_net, INPUTS), 1e-5) < 1e-5
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]
    one = _answer(model, tmp_path / "net.onnx", INPUTS[:1])
    np.testing.assert_allclose(one, answer[:1], atol=1e-6)


def test_keras_export_answers_as_the_network(keras_net: Any, tmp_path: Path) -> None:
    model = keras_to_onnx(keras_net, "x", "y")
    assert _signature(model) == [("x", 1, ["batch", 3]), ("y", 1, ["batch", 2])]
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    answer = _answer(model, tmp_path / "net.onnx")
    assert check.greatest_difference("net", answer, check.run_keras(keras_net, INPUTS), 1e-5) < 1e-5


def test_saved_model_has_the_signature_of_tensorflow_serving(
    keras_net: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "saved_model"
    keras_to_saved_model(keras_net, folder, layout.TENSOR, "y")
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    assert signature.structured_input_signature[1] == {
        "features": tf.TensorSpec((None, 3), tf.float32, name="features")
    }
    assert list(signature.structured_outputs) == ["y"]
    answer = check.run_saved_model(folder, INPUTS, "y")
    np.testing.assert_allclose(answer, check.run_keras(keras_net, INPUTS), atol=1e-5)
    assert sorted(file.name for file in folder.iterdir()) == [
        "fingerprint.pb",
        "saved_model.pb",
        "variables",
    ]


def test_transformer_export_answers_as_the_transformer(tmp_path: Path) -> None:
    draw = np.random.default_rng(2)
    count = 2_048
    columns: dict[str, Any] = {
        "size": draw.normal(1_000.0, 300.0, count),
        "kind": draw.choice(np.array(["a", "b b", "ç"], dtype=object), count),
        "many": draw.integers(0, 50, count),
    }
    matrix = np.column_stack([column.astype(object) for column in columns.values()])
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    transformer = ColumnTransformer([("n", MinMaxScaler(), [0, 2]), ("c", encoder, [1])])
    expected = transformer.fit_transform(matrix)
    features = [Feature("size", "number"), Feature("kind", "string"), Feature("many", "integer")]
    path = tmp_path / "preprocess.onnx"
    model = transformer_to_onnx(transformer, features, 5, "tensor")
    save(model, path)
    assert _signature(model) == [
        ("size", 1, ["batch", 1]),
        ("kind", 8, ["batch", 1]),
        ("many", 1, ["batch", 1]),
        ("tensor", 1, ["batch", 5]),
    ]
    answer = np.asarray(check.run_graph(path, Rows(columns, count)), np.float64)
    assert (answer[:, 2:].sum(axis=1) == 1).all()
    np.testing.assert_allclose(answer, expected, atol=1e-6)
    strange = {"size": columns["size"][:1], "kind": np.array(["z"], object), "many": np.array([1])}
    assert Graph(path).run(Rows(strange, 1))["tensor"][0, 2:].tolist() == [0, 0, 0]


def test_clean_removes_what_an_exporter_left(torch_net: torch.nn.Module) -> None:
    model = torch_to_onnx(torch_net, 3, "x", "y")
    note = onnx.StringStringEntryProto(key="trace", value="a file of the build machine")
    model.metadata_props.append(note)
    model.graph.node[0].metadata_props.append(note)
    model.graph.node[0].doc_string = model.doc_string = note.value
    model.opset_import.append(onnx.helper.make_opsetid("ai.onnx.ml", 1))
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    clean(model, "renamed")
    assert note.value.encode() not in model.SerializeToString()
    assert model.graph.name == "renamed"
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]


def test_a_graph_that_contradicts_itself_is_not_saved(
    torch_net: torch.nn.Module, tmp_path: Path
) -> None:
    model = torch_to_onnx(torch_net, 3, "x", "y")
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 7
    with pytest.raises(onnx.shape_inference.InferenceError):
        save(model, tmp_path / "bad.onnx")
    model.graph.node[0].input[0] = "nowhere"
    with pytest.raises(onnx.checker.ValidationError):
        save(model, tmp_path / "bad.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([[1.0], [2.5]], "differs from its original by 0.5"),
        ([[1.0], [np.nan]], "differs from its original by inf"),
        ([[1.0], [np.inf]], "differs from its original by inf"),
        ([[1.0, 2.0]], r"answers shape \(1, 2\)"),
    ],
)
def test_a_difference_over_the_tolerance_stops_the_build(answer: Any, message: str) -> None:
    with pytest.raises(ParityError, match=message):
        check.greatest_difference("f.onnx", np.array(answer), np.array([[1.0], [2.0]]), 0.4)


def test_what_is_no_number_is_never_an_answer() -> None:
    nothing = np.array([[np.nan]])
    with pytest.raises(ParityError, match="differs from its original by inf"):
        check.greatest_difference("f.onnx", nothing, nothing, 0.4)


def test_manifest_text_is_read_back_as_the_manifest(tmp_path: Path) -> None:
    manifest = with_ranges(MANIFEST, {"age": (18.0, 59.0), "bmr": (1556.5, 3807.8)})
    text = to_yaml(manifest)
    (tmp_path / "model.yaml").write_text(text, encoding="utf-8")
    assert Manifest.load(tmp_path) == manifest
    assert text.startswith("# The manifest of the model weight-change:")
    assert "    range: [18, 59]\n" in text
    assert "    categories: [F, M]\n" in text


@pytest.mark.parametrize(
    ("kind", "seen", "expected"),
    [
        ("integer", (1.0, 12.0), (1.0, 12.0)),
        ("number", (100.0, 296.9), (100.0, 300.0)),
        ("number", (-376.4, 2033.5), (-400.0, 2100.0)),
        ("number", (0.123, 0.456), (0.12, 0.46)),
        ("number", (5.0, 5.0), (5.0, 5.0)),
    ],
)
def test_ranges_are_rounded_outward(
    kind: Any, seen: tuple[float, float], expected: tuple[float, float]
) -> None:
    manifest = Manifest(
        "m", (Feature("f", kind), Feature("s", "string")), (Output("o"),), layout.backends("m")
    )
    ranged = with_ranges(manifest, {"f": seen})
    assert ranged.features[0].range == expected
    assert ranged.features[1] == manifest.features[1]
