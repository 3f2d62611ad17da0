"""Import of Keras models and SavedModels."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gateway.models.graph import Graph
from gateway.models.repository import Repository
from serving.importing.errors import ImportRefused
from serving.importing.importer import Imported

Take = Callable[..., Imported]


def _chain() -> Any:
    keras.utils.set_random_seed(1)
    source = keras.Input((3,), name="source")
    return keras.Sequential([source, keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])


def _fork() -> Any:
    keras.utils.set_random_seed(2)
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    both = keras.layers.Concatenate()([left, right])
    ends = [keras.layers.Dense(1, name="p")(both), keras.layers.Dense(2, name="a")(left)]
    return keras.Model([left, right], ends)


def _answer(imported: Imported, row: dict[str, Any]) -> dict[str, Any]:
    entry = Repository.scan(imported.folder).get()
    graph = Graph(entry.artifact("tensorflow.onnx"), threads=1)
    return dict(graph.run(entry.validator.convert([row])))


def test_keras_model_gets_graph_and_saved_model(take: Take, tmp_path: Path) -> None:
    net = _chain()
    net.save(tmp_path / "chain.keras")
    rows = np.random.default_rng(1).normal(size=(40, 3))
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",", header="a,b,c", comments="")
    imported = take(
        source=str(tmp_path / "chain.keras"), sample=tmp_path / "rows.csv", outputs=("level",)
    )
    assert [feature.name for feature in imported.manifest.features] == ["a", "b", "c"]
    answer = _answer(imported, {"a": 0.5, "b": -1, "c": 2})["level"]
    expected = net(np.array([[0.5, -1, 2]], np.float32)).numpy()
    np.testing.assert_allclose(answer, expected, atol=1e-6)
    assert set(imported.files) == {"tensorflow.onnx", "saved_model", "preprocess.onnx"}
    assert imported.manifest.backends["tfserving"].lineages["tensorflow"] == {
        "model": "chain",
        "signature": "serving_default",
        "input": "source",
        "preprocess": "preprocess.onnx",
    }
    assert (imported.folder / "1" / "saved_model" / "saved_model.pb").is_file()


def test_several_inputs_and_a_saved_model_of_another_origin(take: Take, tmp_path: Path) -> None:
    net = _fork()
    net.save(tmp_path / "fork.keras")
    net.export(str(tmp_path / "exported"), verbose=False)
    row = {"left": [1.0, 2.0, 3.0], "right": [0.5, -0.5]}
    both = net([np.array([row["left"]]), np.array([row["right"]])])
    expected = {output.shape[1]: output.numpy() for output in both}
    for source in ("fork.keras", "exported"):
        imported = take(source=str(tmp_path / source))
        assert {feature.name for feature in imported.manifest.features} == {"left", "right"}
        answer = _answer(imported, row)
        assert {found.shape[1] for found in answer.values()} == set(expected)
        for found in answer.values():
            np.testing.assert_allclose(found, expected[found.shape[1]], atol=1e-6)
    with pytest.raises(ImportRefused, match="--signature other: exported has serve"):
        take(source=str(tmp_path / "exported"), signature="other")


class _Noise(tf.Module):  # type: ignore[misc]
    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec((None, 3), tf.float32, name="x")]
    )
    def __call__(self, x: Any) -> Any:
        return {"y": x + 0.01 * tf.random.uniform(tf.shape(x))}


def test_the_tolerance_holds_for_the_saved_model_too(take: Take, tmp_path: Path) -> None:
    source = tmp_path / "noise"
    module = _Noise()
    tf.saved_model.save(module, str(source), signatures=module.__call__.get_concrete_function())
    imported = take(source=str(source), tolerance=0.5)
    assert 1e-4 < imported.files["saved_model"] <= 0.5


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (tf.TensorSpec(None, tf.float32, name="x"), "input x takes tensors of any rank"),
        (tf.TensorSpec((None, 3), tf.bfloat16, name="x"), "input x takes bfloat16"),
        (tf.TensorSpec((), tf.float32, name="x"), "its first must be the batch"),
    ],
)
def test_inputs_that_cannot_be_sent_are_refused(
    spec: Any, said: str, take: Take, tmp_path: Path
) -> None:
    module = tf.Module()
    served = tf.function(lambda x: {"y": x + x}, input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path / "odd"), signatures=served)
    with pytest.raises(ImportRefused, match=said):
        take(source=str(tmp_path / "odd"))
    assert not (tmp_path / "models").exists()


def test_python_code_in_the_file_needs_trust(take: Take, tmp_path: Path) -> None:
    layer = keras.layers.Lambda(lambda x: x * 2)
    keras.Sequential([keras.Input((3,)), layer]).save(tmp_path / "code.keras")
    with pytest.raises(ImportRefused, match=r"Python code, a Lambda layer.*--trust"):
        take(source=str(tmp_path / "code.keras"))


def test_custom_layer_needs_its_module(
    take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "user_layer.py").write_text(
        "import keras\n"
        '@keras.saving.register_keras_serializable("user")\n'
        "class Twice(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return x * 2\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    import user_layer  # type: ignore[import-not-found]

    keras.Sequential([keras.Input((3,)), user_layer.Twice()]).save("twice.keras")
    registered = keras.saving.get_custom_objects()
    monkeypatch.delitem(registered, "user>Twice")
    monkeypatch.delitem(sys.modules, "user_layer")
    with pytest.raises(ImportRefused, match=r"custom layer.*--module"):
        take(source="twice.keras")
    imported = take(source="twice.keras", module="user_layer")
    (feature,) = imported.manifest.features
    assert _answer(imported, {feature.name: [1, 2, 3]})["output"].tolist() == [[2, 4, 6]]


def test_what_onnx_cannot_hold_is_refused(take: Take, tmp_path: Path) -> None:
    words = keras.Input((1,), dtype="string")
    lookup = keras.layers.StringLookup(vocabulary=["a", "b"])
    keras.Model(words, lookup(words)).save(tmp_path / "lookup.keras")
    with pytest.raises(ImportRefused, match="cannot be converted to ONNX"):
        take(source=str(tmp_path / "lookup.keras"))
    assert not (tmp_path / "models").exists()
