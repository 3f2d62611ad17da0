"""Import of PyTorch networks and Lightning checkpoints."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as lightning
import torch
from safetensors.torch import save_file

from gateway.errors import InvalidInput
from gateway.models.graph import Graph
from gateway.models.repository import Repository
from serving.importing.errors import ImportRefused
from serving.importing.front import join_graph
from serving.importing.importer import Imported
from serving.importing.objects import find
from serving.importing.spec import parse_spec
from tests.serving.importing.conftest import columns

Take = Callable[..., Imported]

_NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.last = torch.nn.Linear(3, 1)

    def forward(self, features):
        return torch.sigmoid(self.last(features))
"""
_OTHERS = """
import torch

class Branch(torch.nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x
        return -x

class Eigen(torch.nn.Module):
    def forward(self, x):
        return torch.linalg.eig(x[:, :, None] * x[:, None, :])[0].real

class Fixed(torch.nn.Module):
    def forward(self, x):
        return x.reshape(64, 3) + 1

class Total(torch.nn.Module):
    def forward(self, x):
        return x.sum()

class Tokens(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.words = torch.nn.Embedding(20, 4)

    def forward(self, tokens, x):
        return {"embedded": self.words(tokens).sum(1), "sum": x.sum(1)}

class Six(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.last = torch.nn.Linear(7, 2)

    def forward(self, features):
        return self.last(features)

from user_net import Net

trained = Net()

def fresh():
    return Net()

def loaded():
    net = Net()
    net.load_state_dict(trained.state_dict())
    return net
"""


_WHOLE = """
import torch

class Sum(torch.nn.Module):
    def forward(self, x):
        return x.sum(1, keepdim=True)
"""
_NOISE = """
import torch

class Noise(torch.nn.Module):
    def forward(self, x):
        return x + 0.01 * torch.rand_like(x)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the modules of a user, which is the current one."""
    (tmp_path / "user_net.py").write_text(_NET)
    (tmp_path / "user_others.py").write_text(_OTHERS)
    (tmp_path / "user_whole.py").write_text(_WHOLE)
    (tmp_path / "user_noise.py").write_text(_NOISE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("user_")]:
        del sys.modules[name]


def _net(name: str = "user_net:Net") -> torch.nn.Module:
    torch.manual_seed(1)
    net: torch.nn.Module = find(name)()
    return net.eval()


def _graph(imported: Imported, artifact: str = "pytorch.onnx") -> tuple[Any, Graph]:
    entry = Repository.scan(imported.folder).get()
    return entry.validator, Graph(entry.artifact(artifact), threads=1)


def test_columns_of_a_csv_become_features_and_an_archive(take: Take, folder: Path) -> None:
    rows = np.random.default_rng(1).normal(size=(40, 3))
    np.savetxt("rows.csv", rows, delimiter=",", header="a,b,c", comments="")
    net = _net()
    torch.save({"state_dict": net.state_dict()}, "weights.pt")
    imported = take(
        module="user_net:Net",
        weights=Path("weights.pt"),
        sample=Path("rows.csv"),
        outputs=("chance",),
        labels=("no", "yes"),
        name="net",
    )
    manifest = imported.manifest
    assert [(f.name, f.type) for f in manifest.features] == [(n, "number") for n in "abc"]
    (output,) = manifest.outputs
    assert (output.name, output.labels, output.threshold) == ("chance", ("no", "yes"), 0.5)
    validator, graph = _graph(imported)
    answer: Any = graph.run(validator.convert([{"a": 0.5, "b": -1, "c": 2.25}]))["chance"]
    with torch.inference_mode():
        expected = net(torch.tensor([[0.5, -1, 2.25]])).numpy()
    np.testing.assert_allclose(answer, expected, atol=1e-6)
    assert manifest.backends["torchserve"].lineages == {"pytorch": {"model": "net"}}
    with zipfile.ZipFile(imported.folder / "1" / "net.mar") as archive:
        assert {"user_net.py", "weights.pth", "preprocess.onnx"} <= set(archive.namelist())
        packed = json.loads(archive.read("MAR-INF/MANIFEST.json"))["model"]
    assert (packed["modelName"], packed["modelVersion"]) == ("net", "1")
    assert set(imported.files) == {"pytorch.onnx", "net.mar", "preprocess.onnx"}


def test_weights_in_safetensors_and_an_input_by_hand(take: Take, folder: Path) -> None:
    net = _net()
    save_file(net.state_dict(), "weights.safetensors")
    imported = take(
        module="user_net.py:Net",
        weights=Path("weights.safetensors"),
        inputs=(parse_spec("features:float32:3"),),
    )
    (feature,) = imported.manifest.features
    assert (feature.type, feature.shape) == ("tensor", (3,))
    validator, graph = _graph(imported)
    answer: Any = graph.run(validator.convert([{"features": [1, 2, 3]}]))["output"]
    with torch.inference_mode():
        expected = net(torch.tensor([[1.0, 2.0, 3.0]])).numpy()
    np.testing.assert_allclose(answer, expected, atol=1e-6)


def test_several_inputs_and_named_outputs_from_arrays(take: Take, folder: Path) -> None:
    draw = np.random.default_rng(1)
    tokens, x = draw.integers(0, 20, (30, 5)), draw.normal(size=(30, 3)).astype(np.float32)
    np.savez("rows.npz", x=x, tokens=tokens)
    torch.save(_net("user_others:Tokens").state_dict(), "weights.pt")
    imported = take(
        module="user_others:Tokens", weights=Path("weights.pt"), sample=Path("rows.npz")
    )
    features = [(f.name, f.shape, f.dtype) for f in imported.manifest.features]
    assert features == [("tokens", (5,), "int64"), ("x", (3,), "float32")]
    outputs = [(o.name, o.shape) for o in imported.manifest.outputs]
    assert outputs == [("embedded", (4,)), ("sum", ())]
    assert any("no TorchServe archive" in note for note in imported.notes)


def test_columns_of_another_dtype_become_features(take: Take, folder: Path) -> None:
    Path("rows.csv").write_text("a,b\n1,2\n3,-4\n16777217,9\n")
    imported = take(
        module="user_whole:Sum", inputs=(parse_spec("x:int64:2"),), sample=Path("rows.csv")
    )
    assert [(f.name, f.type) for f in imported.manifest.features] == [
        ("a", "integer"),
        ("b", "integer"),
    ]
    validator, graph = _graph(imported)
    answer: Any = graph.run(validator.convert([{"a": 16_777_217, "b": 2}]))["output"]
    assert answer.ravel().tolist() == [16_777_219], "a float32 would have lost the last digit"
    assert imported.files["preprocess.onnx"] == 0
    Path("rows.csv").write_text("a,b\n1,2.5\n")
    with pytest.raises(ImportRefused, match="must hold whole numbers"):
        take(module="user_whole:Sum", inputs=(parse_spec("x:int64:2"),), sample=Path("rows.csv"))


def test_whole_numbers_must_fit_the_dtype_of_their_column(take: Take, folder: Path) -> None:
    Path("rows.csv").write_text("a,b\n1,255\n")
    imported = take(
        module="user_whole:Sum", inputs=(parse_spec("x:uint8:2"),), sample=Path("rows.csv")
    )
    validator, graph = _graph(imported)
    answer: Any = graph.run(validator.convert([{"a": 255, "b": 1}]))["output"]
    assert answer.ravel().tolist() == [256]
    with pytest.raises(InvalidInput, match="uint8"):
        validator.convert([{"a": 256, "b": 1}])


def test_the_tolerance_holds_for_the_archive_too(take: Take, folder: Path) -> None:
    inputs = (parse_spec("x:float32:3"),)
    imported = take(module="user_noise:Noise", inputs=inputs, tolerance=0.5)
    assert 0 < imported.files["Noise.mar"] <= 0.5


def test_a_preprocessing_that_makes_another_tensor_is_refused(
    take: Take, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = join_graph(("features", "features"), "tensor", "float32")
    del twice.graph.input[1]
    for node in twice.graph.node:
        node.op_type = "Sum"
        del node.attribute[:]
    for value in (*twice.graph.input, *twice.graph.output):
        value.type.tensor_type.shape.dim[1].dim_value = 3
    monkeypatch.setattr("serving.importing.torch_model.identity_graph", lambda spec: twice)
    with pytest.raises(ImportRefused, match=r"output preprocess\.onnx: the export differs"):
        take(module="user_others:trained", inputs=(parse_spec("features:float32:3"),))


def test_preprocessing_is_merged_before_the_network(
    take: Take, folder: Path, frame: Any, data: Path
) -> None:
    fitted = columns().fit(frame)
    imported = take(fitted, sample=data, name="front")
    (front,) = (imported.folder / "1").glob("*.onnx")
    net = _net("user_others:Six")
    torch.save(net.state_dict(), "weights.pt")
    imported = take(
        module="user_others:Six",
        weights=Path("weights.pt"),
        preprocess=front,
        sample=data,
        name="merged",
    )
    names = [feature.name for feature in imported.manifest.features]
    assert names == ["age", "income", "city", "home plan"]
    validator, graph = _graph(imported)
    row = {"age": 40, "income": 31_000.0, "city": "Oslo", "home plan": "b"}
    tensor = fitted.transform(frame.assign(**row)[:1]).astype(np.float32)
    with torch.inference_mode():
        expected = net(torch.from_numpy(tensor)).numpy()
    answer: Any = graph.run(validator.convert([row]))["output"]
    np.testing.assert_allclose(answer, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("net", "said"),
    [
        ("Branch", r"depends on the values.*user_others\.py, line 6: if x\.sum\(\) > 0"),
        ("Eigen", "aten.linalg_eig does not exist in ONNX"),
        ("Fixed", "one batch size only"),
        ("Total", "its first dimension must be the batch"),
        ("Absent", "user_others has no 'Absent'"),
    ],
)
def test_what_cannot_be_exported_is_refused(net: str, said: str, take: Take, folder: Path) -> None:
    with pytest.raises(ImportRefused, match=said) as refused:
        take(module=f"user_others:{net}", inputs=(parse_spec("x:float32:3"),))
    assert "\n" not in str(refused.value)
    assert not (folder / "models").exists()


@pytest.mark.parametrize("maker", ["user_net:Net", "user_others:fresh"])
def test_a_network_that_has_learned_nothing_is_refused(
    maker: str, take: Take, folder: Path
) -> None:
    with pytest.raises(ImportRefused, match=r"has learned nothing: .*--weights or --checkpoint"):
        take(module=maker, inputs=(parse_spec("features:float32:3"),))
    assert not (folder / "models").exists()


@pytest.mark.parametrize("ready", ["user_others:trained", "user_others:loaded"])
def test_a_network_may_have_its_weights_already(ready: str, take: Take, folder: Path) -> None:
    imported = take(module=ready, inputs=(parse_spec("features:float32:3"),))
    validator, graph = _graph(imported)
    answer: Any = graph.run(validator.convert([{"features": [1, 2, 3]}]))["output"]
    with torch.inference_mode():
        expected = find("user_others:trained")(torch.tensor([[1.0, 2.0, 3.0]])).numpy()
    np.testing.assert_allclose(answer, expected, atol=1e-6)


def test_weights_are_never_executed_and_must_fit(take: Take, folder: Path) -> None:
    torch.save(_net(), "whole.pt")
    torch.save(_net("user_others:Tokens").state_dict(), "other.pt")
    inputs = (parse_spec("features:float32:3"),)
    with pytest.raises(ImportRefused, match=r"more than weights.*state_dict"):
        take(module="user_net:Net", weights=Path("whole.pt"), inputs=inputs)
    with pytest.raises(ImportRefused, match="does not fit Net: it lacks"):
        take(module="user_net:Net", weights=Path("other.pt"), inputs=inputs)
    with pytest.raises(ImportRefused, match="forward takes features; say of which dtype"):
        take(module="user_others:trained")
    with pytest.raises(ImportRefused, match=r"--module package.module:Network --weights whole.pt"):
        take(source="whole.pt")


def test_lightning_module_is_made_by_its_hyperparameters(take: Take, folder: Path) -> None:
    (folder / "user_lit.py").write_text(
        "import pytorch_lightning as pl, torch\n"
        "class Lit(pl.LightningModule):\n"
        "    def __init__(self, width):\n"
        "        super().__init__()\n"
        "        self.save_hyperparameters()\n"
        "        self.last = torch.nn.Linear(width, 2)\n"
        "    def forward(self, x):\n"
        "        return self.last(x)\n"
    )
    net = find("user_lit:Lit")(width=4)
    trainer = lightning.Trainer(logger=False, accelerator="cpu", enable_progress_bar=False)
    trainer.strategy.connect(net)
    trainer.save_checkpoint("net.ckpt")
    imported = take(
        module="user_lit:Lit", checkpoint=Path("net.ckpt"), inputs=(parse_spec("x:float32:4"),)
    )
    validator, graph = _graph(imported)
    answer: Any = graph.run(validator.convert([{"x": [1, 2, 3, 4]}]))["output"]
    with torch.inference_mode():
        expected = net.eval()(torch.tensor([[1.0, 2.0, 3.0, 4.0]])).numpy()
    np.testing.assert_allclose(answer, expected, atol=1e-6)
