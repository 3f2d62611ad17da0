from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.models.repository import ModelVersion, Repository
from loadtests.compare.cost.artifacts import artifact, artifacts
from loadtests.compare.errors import CompareError
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "weight-change" / "1"


def _bytes(*paths: Path) -> int:
    return sum(path.stat().st_size for path in paths)


def test_an_onnx_file(version: ModelVersion) -> None:
    figure = artifact("onnx/pytorch", version, [("onnx", "pytorch")])
    assert figure.id == "cost.onnx-pytorch.artifact"
    assert figure.value == _bytes(FOLDER / "pytorch.onnx") / 1e6
    assert figure.remark == "pytorch.onnx 4.4 kB"


def test_weights_beside_the_graph_count(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "weight-change", tmp_path / "weight-change")
    (tmp_path / "weight-change" / "1" / "pytorch.onnx.data").write_bytes(b"x" * 1000)
    copy = Repository.scan(tmp_path).get()
    names = [path.name for path in artifacts(copy, "onnx", "pytorch")]
    assert names == ["pytorch.onnx", "pytorch.onnx.data"]


def test_an_archive(version: ModelVersion) -> None:
    assert artifacts(version, "torchserve", "pytorch") == [FOLDER / "weight-change.mar"]


def test_a_saved_model_and_its_preprocessing(version: ModelVersion) -> None:
    figure = artifact("tfserving", version, [("tfserving", "tensorflow")], "tensorflow-serving")
    saved = [path for path in (FOLDER / "saved_model").rglob("*") if path.is_file()]
    assert figure.value == _bytes(FOLDER / "preprocess.onnx", *saved) / 1e6
    assert figure.stand_in == "tensorflow-serving"


def test_several_lineages_of_a_server(version: ModelVersion) -> None:
    ways = [("onnx", "pytorch"), ("onnx", "tensorflow"), ("onnx", "pytorch")]
    figure = artifact("gateway", version, ways)
    assert figure.value == _bytes(FOLDER / "pytorch.onnx", FOLDER / "tensorflow.onnx") / 1e6


def test_what_is_not_known_is_said(version: ModelVersion) -> None:
    with pytest.raises(CompareError, match="no torchserve/tensorflow"):
        artifacts(version, "torchserve", "tensorflow")
    figure = artifact("triton", version, [("triton", "pytorch")])
    assert (figure.value, figure.remark) == (
        None,
        "not applicable: weight-change has no triton/pytorch",
    )
    assert artifact("triton", version, []).value is None


def test_a_server_has_the_newest_archive_only(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "weight-change", tmp_path / "weight-change")
    shutil.copytree(tmp_path / "weight-change" / "1", tmp_path / "weight-change" / "2")
    older = Repository.scan(tmp_path).get("weight-change", "1")
    with pytest.raises(CompareError, match="no archive of weight-change in weight-change/1"):
        artifacts(older, "torchserve", "pytorch")
    assert artifacts(older, "tfserving", "tensorflow")[0].parent.name == "1"
    (older.folder / "pytorch.onnx").unlink()
    with pytest.raises(CompareError, match=r"there is no pytorch\.onnx"):
        artifacts(older, "onnx", "pytorch")
