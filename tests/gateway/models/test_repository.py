"""The repository: versions, choice, and folders that cannot be read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.errors import InvalidRequest, ModelError, NotFound
from gateway.models.repository import Repository
from tests.conftest import MIXED, linear_graph, write_model


def test_the_newest_version_is_the_default(mixed_repository: Path) -> None:
    model = mixed_repository / "mixed"
    for version in ("2", "10"):
        shutil.copytree(model / "1", model / version)
    repository = Repository.scan(mixed_repository)
    assert repository.get().version == "10"
    assert repository.get("mixed", "2").version == "2"
    assert [entry.version for entry in repository] == ["1", "2", "10"]


def test_what_is_not_there_is_answered_with_what_is(mixed_repository: Path) -> None:
    repository = Repository.scan(mixed_repository)
    with pytest.raises(NotFound) as caught:
        repository.get("other")
    assert caught.value.members == {"field": "model", "allowed": ["mixed"]}
    with pytest.raises(NotFound) as caught:
        repository.get("mixed", "7")
    assert caught.value.members == {"field": "version", "allowed": ["1"]}


def test_a_broken_folder_does_not_hide_the_others(mixed_repository: Path) -> None:
    broken = mixed_repository / "broken"
    broken.mkdir()
    (broken / "model.yaml").write_text("name: broken")
    empty = mixed_repository / "empty"
    shutil.copytree(mixed_repository / "mixed", empty)
    shutil.rmtree(empty / "1")
    repository = Repository.scan(mixed_repository)
    assert list(repository.models) == ["mixed"]
    assert set(repository.failures) == {"broken", "empty"}


def test_several_models_must_be_told_apart(mixed_repository: Path) -> None:
    write_model(mixed_repository / "second", MIXED | {"name": "second"})
    with pytest.raises(InvalidRequest, match="second"):
        Repository.scan(mixed_repository).get()


def test_a_model_folder_and_a_plain_graph_are_repositories(
    mixed_repository: Path, tmp_path: Path
) -> None:
    assert Repository.scan(mixed_repository / "mixed").get().name == "mixed"
    assert Repository.scan(linear_graph(tmp_path / "plain.onnx", [1.0])).get().name == "plain"


def test_plain_graphs_beside_model_folders(mixed_repository: Path) -> None:
    linear_graph(mixed_repository / "plain.onnx", [1.0])
    linear_graph(mixed_repository / "mixed.onnx", [1.0])
    (mixed_repository / "broken.onnx").write_bytes(b"not a graph")
    repository = Repository.scan(mixed_repository)
    assert list(repository.models) == ["mixed", "plain"]
    assert repository.get("mixed").manifest.description == "Adds up."
    assert set(repository.failures) == {"mixed.onnx", "broken.onnx"}


def test_nothing_to_serve_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.yaml"):
        Repository.scan(tmp_path)


@pytest.mark.parametrize("name", ["../model.yaml", "/etc/hostname", "nowhere.onnx"])
def test_artifacts_stay_inside_the_folder(mixed_repository: Path, name: str) -> None:
    with pytest.raises(ModelError):
        Repository.scan(mixed_repository).get().artifact(name)
