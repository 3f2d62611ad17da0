"""What TensorFlow Serving is given of a repository: the newest SavedModels, and their list."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from serving.launch.layout import arrange
from tests.conftest import MIXED, ROOT, write_model


def listed(folder: Path) -> dict[str, str]:
    """Name and base path of each model in the list the server is given."""
    text = (folder / "models.config").read_text()
    config = text_format.Parse(text, ModelServerConfig())
    assert config.WhichOneof("config") == "model_config_list"
    entries = config.model_config_list.config
    assert all(one.model_version_policy.HasField("all") for one in entries)
    return {one.name: one.base_path for one in entries}


def test_the_newest_versions_are_laid_out_and_followed(tmp_path: Path) -> None:
    repository, folder = tmp_path / "repository", tmp_path / "served"
    folder.mkdir()
    lineages = {"tensorflow": {"model": "other-name"}}
    tfserving = {"tfserving": {"lineages": lineages}}
    model = repository / "mixed"
    write_model(model, MIXED | {"backends": MIXED["backends"] | tfserving})
    for version in ("1", "2", "10"):
        (model / version / "saved_model").mkdir(parents=True)
        (model / version / "saved_model" / "saved_model.pb").write_text(version)
    write_model(repository / "plain", MIXED | {"name": "plain"})
    assert arrange(repository, folder) == {"other-name": ["2", "10"]}
    assert listed(folder) == {"other-name": str(folder / "other-name")}
    assert (folder / "other-name" / "10" / "saved_model.pb").read_text() == "10"
    # A version and a model that go away are taken out, and what stays is not touched.
    kept = (folder / "other-name" / "2").lstat()
    shutil.rmtree(model / "10")
    assert arrange(repository, folder) == {"other-name": ["1", "2"]}
    assert sorted(one.name for one in (folder / "other-name").iterdir()) == ["1", "2"]
    assert (folder / "other-name" / "2").lstat() == kept
    shutil.rmtree(model)
    assert arrange(repository, folder) == {}
    assert (listed(folder), [one.name for one in folder.iterdir()]) == ({}, ["models.config"])


def test_the_command_says_what_there_is(tmp_path: Path, mixed_repository: Path) -> None:
    folder = tmp_path / "served"
    folder.mkdir()

    def run(repository: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "serving.launch.layout", str(repository), str(folder)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    done = run(mixed_repository)
    assert (done.returncode, "no SavedModel" in done.stdout) == (0, True), done
    done = run(tmp_path / "nowhere")
    assert (done.returncode, "there is no model" in done.stderr) == (1, True), done
