"""What TensorFlow Serving is given of a repository: the newest SavedModels, and their list."""

from __future__ import annotations

import os
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


def write_versions(repository: Path) -> Path:
    """A model with three SavedModels, ``other-name`` on TensorFlow Serving: its folder."""
    tfserving = {"tfserving": {"lineages": {"tensorflow": {"model": "other-name"}}}}
    model = repository / "mixed"
    write_model(model, MIXED | {"backends": MIXED["backends"] | tfserving})
    for version in ("1", "2", "10"):
        (model / version / "saved_model").mkdir(parents=True)
        (model / version / "saved_model" / "saved_model.pb").write_text(version)
    return model


def run(
    repository: Path, folder: Path, cwd: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess[str]:
    """The command, by itself."""
    command = [sys.executable, "-m", "serving.launch.layout", str(repository), str(folder)]
    environ = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    return subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_newest_versions_are_laid_out_and_followed(tmp_path: Path) -> None:
    repository, folder = tmp_path / "repository", tmp_path / "served"
    folder.mkdir()
    model = write_versions(repository)
    write_model(repository / "plain", MIXED | {"name": "plain"})
    assert arrange(repository, folder, 2) == {"other-name": ["2", "10"]}
    assert listed(folder) == {"other-name": str(folder / "other-name")}
    assert (folder / "other-name" / "10" / "saved_model.pb").read_text() == "10"
    # A version and a model that go away are taken out, and what stays is not touched.
    kept = (folder / "other-name" / "2").lstat()
    shutil.rmtree(model / "10")
    assert arrange(repository, folder, 2) == {"other-name": ["1", "2"]}
    assert sorted(one.name for one in (folder / "other-name").iterdir()) == ["1", "2"]
    assert (folder / "other-name" / "2").lstat() == kept
    shutil.rmtree(model)
    assert arrange(repository, folder, 2) == {}
    assert (listed(folder), [one.name for one in folder.iterdir()]) == ({}, ["models.config"])


def test_the_command_says_what_there_is(tmp_path: Path, mixed_repository: Path) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    done = run(mixed_repository, folder)
    assert (done.returncode, "no SavedModel" in done.stdout) == (0, True), done
    done = run(tmp_path / "nowhere", folder)
    assert (done.returncode, "there is no model" in done.stderr) == (1, True), done
    done = run(mixed_repository, folder, GATEWAY_VERSIONS_KEPT="none")
    assert (done.returncode, "GATEWAY_VERSIONS_KEPT: " in done.stderr) == (1, True), done
    assert done.stderr.count("\n") == 1


def test_relative_folders_are_laid_out_with_as_many_versions_as_the_gateway_keeps(
    tmp_path: Path,
) -> None:
    write_versions(tmp_path / "repository")
    served = tmp_path / "served"
    served.mkdir()
    for given, versions in (("3", ["1", "10", "2"]), ("1", ["10"]), ("", ["10", "2"])):
        done = run(Path("repository"), Path("served"), tmp_path, GATEWAY_VERSIONS_KEPT=given)
        assert done.returncode == 0, done
        laid_out = served / "other-name"
        assert sorted(one.name for one in laid_out.iterdir()) == versions
        # What the server reads does not hang on the folder it runs in.
        assert all((laid_out / one / "saved_model.pb").read_text() == one for one in versions)
        assert listed(served) == {"other-name": str(laid_out)}
