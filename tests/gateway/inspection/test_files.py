"""What a command line's MODEL means."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import Settings
from gateway.errors import ConfigError, ModelError, NotFound
from gateway.inspection.files import find_files
from tests.conftest import MIXED, REPOSITORY, linear_graph, write_model

EXAMPLE = REPOSITORY / "weight-change"


@pytest.mark.parametrize("given", ["weight-change", str(EXAMPLE), str(REPOSITORY)])
def test_a_name_a_model_and_its_repository(given: str) -> None:
    found = find_files(given, Settings(repository=str(REPOSITORY)))
    assert [(file.path.name, file.lineage) for file in found] == [
        ("pytorch.onnx", "pytorch"),
        ("tensorflow.onnx", "tensorflow"),
        ("preprocess.onnx", None),
    ]
    assert found[0].name == "weight-change/1/pytorch.onnx"


def test_a_file_knows_its_model(tmp_path: Path) -> None:
    (file,) = find_files(str(EXAMPLE / "1" / "tensorflow.onnx"), Settings())
    assert file.lineage == "tensorflow"
    assert file.model is not None
    assert file.model.name == "weight-change"
    plain = linear_graph(tmp_path / "plain.onnx", [1.0])
    (file,) = find_files(str(plain), Settings())
    assert (file.model, file.lineage, file.name) == (None, None, "plain.onnx")


def test_versions_and_lineages(tmp_path: Path) -> None:
    write_model(tmp_path / "mixed")
    (tmp_path / "mixed" / "2").mkdir()
    linear_graph(tmp_path / "mixed" / "2" / "mixed.onnx", [1.0])
    settings = Settings(repository=str(tmp_path))
    assert find_files("mixed", settings)[0].name == "mixed/2/mixed.onnx"
    assert find_files("mixed", settings, "1", "pytorch")[0].name == "mixed/1/mixed.onnx"
    with pytest.raises(NotFound, match="there is: 1, 2"):
        find_files("mixed", settings, "3")
    with pytest.raises(NotFound, match="no lineage 'x'; there is: pytorch"):
        find_files("mixed", settings, lineage="x")


def test_a_file_has_no_other_versions(tmp_path: Path) -> None:
    path = linear_graph(tmp_path / "plain.onnx", [1.0])
    with pytest.raises(ConfigError, match=r"--version is for a model, and \S+ is one file"):
        find_files(str(path), Settings(), "7")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nowhere.onnx", "nowhere.onnx: there is no such file or folder"),
        ("a/b", "a/b: there is no such file or folder"),
        ("text.txt", "it is no .onnx file"),
        ("broken", "there is no version"),
        ("unserved", "mixed: lineage a: "),
        ("two", "it holds several models: one, other"),
        ("gone", "there is no mixed.onnx"),
    ],
)
def test_what_is_nothing_to_look_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("x")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.yaml").write_text((EXAMPLE / "model.yaml").read_text())
    for name in ("one", "other"):
        write_model(tmp_path / "two" / name, MIXED | {"name": name})
    (write_model(tmp_path / "gone") / "mixed.onnx").unlink()
    lineages = {"backends": {"onnx": {"lineages": {"a": {"file": "mixed.onnx"}}}}}
    write_model(tmp_path / "unserved", MIXED | lineages)
    with pytest.raises(ModelError) as caught:
        find_files(given, Settings(repository="."))
    assert words in caught.value.detail


def test_a_plain_files_neighbours_are_not_its_models(tmp_path: Path) -> None:
    plain = linear_graph(tmp_path / "plain.onnx", [1.0])
    linear_graph(tmp_path / "other.onnx", [1.0])
    settings = Settings(repository=str(plain))
    assert [file.path for file in find_files("plain", settings)] == [plain]
