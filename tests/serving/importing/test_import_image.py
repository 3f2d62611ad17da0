"""Models of pictures: made by ``--image``, kept where people made them by hand."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper
from PIL import Image
from typer.testing import CliRunner

from gateway.models.graph import Graph
from gateway.models.repository import Repository
from serving.__main__ import app
from serving.importing.errors import ImportRefused
from serving.importing.importer import Imported
from serving.importing.picture import parse_images
from tests.conftest import ROOT

Take = Callable[..., Imported]

_MEAN, _STD = (0.5, 0.25, 0.0), (0.5, 1.0, 2.0)
_IMAGES = parse_images(["image:RGB:CHW:255"], "0.5,0.25,0", "0.5,1,2")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """Means over the pixels of each channel; rows are (3, 4, 6)."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0)],
        "means",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 4, 6])],
        [helper.make_tensor_value_info("means", TensorProto.FLOAT, ["n", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(tmp_path / "net.onnx"))
    return tmp_path / "net.onnx"


def _ask(folder: Path, pixels: Any) -> Any:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    entry = Repository.scan(folder).get()
    row = {"image": base64.b64encode(file.getvalue()).decode()}
    graph = Graph(entry.artifact("original.onnx"), threads=1)
    (answer,) = graph.run(entry.validator.convert([row])).values()
    return answer


@pytest.mark.parametrize("order", [None, (0, 1, 2, 3), (0, 3, 1, 2)])
def test_pictures_are_scaled_as_the_option_says(
    order: tuple[int, ...] | None, net: Path, take: Take, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 4, 6, 3)).astype(np.uint8)
    sample = None
    if order is not None:
        sample = tmp_path / "rows.npz"
        np.savez(sample, image=pixels.transpose(order))
    imported = take(source=str(net), images=_IMAGES, sample=sample)
    (feature,) = yaml.safe_load((imported.folder / "model.yaml").read_text())["features"]
    assert feature == {
        "name": "image", "type": "image", "dtype": "float32", "mode": "RGB", "size": [4, 6],
        "layout": "CHW", "scale": 255.0, "mean": [0.5, 0.25, 0], "std": [0.5, 1, 2],
    }  # fmt: skip
    expected = ((pixels[0] / 255 - _MEAN) / _STD).mean(axis=(0, 1))
    np.testing.assert_allclose(_ask(imported.folder, pixels[0])[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("option", "mean", "said"),
    [
        ("image:RGB:HWC", None, "RGB pictures as HWC do not make image:float32:3x4x6"),
        ("image:L:HW", None, "L pictures as HW do not make"),
        ("image:RGB:CHW:0", None, "scale must be above 0"),
        ("image:RGB:CHW:255,128", None, "the scale is one number"),
        ("image:RGB:CHW", "0.5", "mean has 1 values, not one per channel"),
        ("picture:RGB:CHW", None, "--image picture: the model takes image"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(
    option: str, mean: str | None, said: str, net: Path, take: Take, tmp_path: Path
) -> None:
    with pytest.raises(ImportRefused, match=said):
        take(source=str(net), images=parse_images([option], mean, None))
    with pytest.raises(ImportRefused, match="an input is named twice"):
        take(source=str(net), images=_IMAGES * 2)
    assert not (tmp_path / "models").exists()


def test_a_sample_of_pictures_holds_pixels(net: Path, take: Take, tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", image=np.zeros((2, 3, 4, 6), np.float32))
    with pytest.raises(ImportRefused, match=r"image: the sample has float32.*pictures are uint8"):
        take(source=str(net), images=_IMAGES, sample=tmp_path / "rows.npz")


@pytest.mark.parametrize("how", [{"replace": True}, {"version": "2"}])
def test_what_people_made_an_image_stays_one(how: dict[str, Any], net: Path, take: Take) -> None:
    folder = take(source=str(net)).folder
    content = yaml.safe_load((folder / "model.yaml").read_text())
    theirs = {"name": "image", "type": "image", "description": "A cat.", "dtype": "float32",
              "size": [4, 6], "layout": "CHW", "scale": 255.0}  # fmt: skip
    content["features"] = [theirs]
    (folder / "model.yaml").write_text(yaml.safe_dump(content))
    take(source=str(net), **how)
    assert yaml.safe_load((folder / "model.yaml").read_text())["features"] == [theirs]
    same = parse_images(["image:RGB:CHW:255"], None, None)
    take(source=str(net), images=same, **{**how, "replace": True})
    assert yaml.safe_load((folder / "model.yaml").read_text())["features"] == [theirs]
    if "version" in how:
        with pytest.raises(ImportRefused, match="has versions with other features"):
            take(source=str(net), images=_IMAGES, version="3")


def test_the_documented_network_of_pictures_takes_an_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documented = re.search(
        r"^python -m serving (import --module net\.py:Net (?:.*\\\n)*.*)$",
        (ROOT / "docs" / "importing.md").read_text(),
        re.M,
    )
    assert documented is not None
    import torch
    from safetensors.torch import save_file

    (tmp_path / "net.py").write_text(
        "import torch\n\n\nclass Net(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.last = torch.nn.Linear(3, 2)\n\n"
        "    def forward(self, image):\n"
        "        return torch.softmax(self.last(image.mean((2, 3))), 1)\n"
    )
    last = torch.nn.Linear(3, 2)
    state = {"last.weight": last.weight.detach(), "last.bias": last.bias.detach()}
    save_file(state, str(tmp_path / "weights.safetensors"))
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(app, documented[1].replace("\\\n", " ").split())
    assert told.exit_code == 0, told.stderr
    (feature,) = Repository.scan(tmp_path / "models").get().manifest.features
    assert (feature.type, feature.size, feature.layout) == ("image", (224, 224), "CHW")
    assert "a PNG or JPEG picture" in told.stdout
