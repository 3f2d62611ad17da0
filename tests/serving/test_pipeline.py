"""The DVC pipeline on few rows, in a clone of its own with a remote beside it."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import yaml

from gateway.models.repository import Repository
from serving import layout
from serving.export import check
from serving.weight_change import data
from serving.weight_change.definition import EPOCHS, NAME
from tests.conftest import REPOSITORY, ROOT

#: The first test waits for all stages, each of which loads its frameworks anew.
pytestmark = pytest.mark.timeout(600)

#: What the stages need of the project.
PARTS = ("serving", "gateway", "handlers", "dvc.yaml", "params.yaml")
HIDDEN = (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore")
STAGES = ("data", "train_pytorch", "train_tensorflow", "export", "archive", "check")
#: What each stage imports, and what of the example it asks for when it runs.
IMPORTS = {
    "data": ("stages.data",),
    "train_pytorch": ("stages.training", "weight_change.torch_training"),
    "train_tensorflow": ("stages.training", "weight_change.keras_training"),
    "export": ("stages.export", "weight_change.keras_training", "weight_change.net"),
    "archive": ("stages.packing", "weight_change.net"),
    "check": ("stages.judging", "weight_change.keras_training", "weight_change.net"),
}
FITTED = ("train_pytorch", "train_tensorflow", "export", "check")
SMALL = {
    "data": {"rows": 500, "seed": 1},
    "pytorch": {"epochs": 2, "seed": 1},
    "tensorflow": {"epochs": 2, "seed": 1},
}


class Clone:
    """A checkout in which DVC and git are called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pipeline = folder / "pipeline"
        self._environment = os.environ | {
            # The stages' `python`, and nothing of this machine's settings.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": "",
            "DVC_GLOBAL_CONFIG_DIR": str(folder.parent / "settings"),
            "DVC_SYSTEM_CONFIG_DIR": str(folder.parent / "settings"),
            "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "test",
            "GIT_AUTHOR_EMAIL": "test@localhost",
            "GIT_COMMITTER_NAME": "test",
            "GIT_COMMITTER_EMAIL": "test@localhost",
        }

    def dvc(self, *arguments: str) -> str:
        """What DVC says on stdout; it must succeed."""
        return self._run(sys.executable, "-m", "dvc", *arguments)

    def git(self, *arguments: str) -> str:
        """What git says on stdout; it must succeed."""
        return self._run("git", *arguments)

    def set(self, parameters: dict[str, dict[str, int]]) -> None:
        """Write ``params.yaml``."""
        (self.folder / "params.yaml").write_text(yaml.safe_dump(parameters))

    def release(self, tag: str) -> None:
        """Commit what the pipeline made, tag it and push its files."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", tag)
        self.git("tag", tag)
        self.dvc("push")

    def hashes(self, part: str = "") -> dict[str, str]:
        """Every file below the pipeline's folder and its hash."""
        return {
            file.relative_to(self.pipeline).as_posix(): hashlib.sha256(
                file.read_bytes()
            ).hexdigest()
            for file in (self.pipeline / part).rglob("*")
            if file.is_file()
        }

    def _run(self, *command: str) -> str:
        told = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == 0, told.stdout + told.stderr
        return told.stdout


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone whose pipeline has run once, released as v1."""
    clone = Clone(tmp_path_factory.mktemp("pipeline") / "clone")
    clone.folder.mkdir()
    # Other tests, in processes of their own, write compiled code into the project meanwhile.
    compiled = shutil.ignore_patterns("__pycache__")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, clone.folder / part, ignore=compiled)
        else:
            shutil.copy(ROOT / part, clone.folder / part)
    for part in HIDDEN:
        (clone.folder / part).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / part, clone.folder / part)
    clone.set(SMALL)
    clone.git("init", "--quiet")
    clone.dvc("remote", "add", "--default", "store", str(clone.folder.parent / "store"))
    told = clone.dvc("repro")
    assert [stage for stage in STAGES if f"Running stage '{stage}'" in told] == list(STAGES)
    clone.release("v1")
    return clone


@pytest.fixture
def clone(released: Clone, tmp_path: Path) -> Clone:
    """A copy of the released clone; both have one remote."""
    shutil.copytree(released.folder, tmp_path / "clone", symlinks=True)
    return Clone(tmp_path / "clone")


def test_repro_rebuilds_a_repository_that_can_be_served(released: Clone) -> None:
    model = Repository.scan(released.pipeline / "repository").get(NAME, layout.VERSION)
    ours, theirs = (
        _files(folder / NAME) for folder in (released.pipeline / "repository", REPOSITORY)
    )
    assert ours == theirs
    card = json.loads((model.folder / layout.CARD).read_bytes())
    assert card["data"]["training_rows"] == SMALL["data"]["rows"]
    assert card["epochs"] == {name: SMALL[name]["epochs"] for name in ("pytorch", "tensorflow")}
    metrics = json.loads((released.pipeline / "metrics.json").read_bytes())
    assert metrics["pytorch"] == card["metrics"]["pytorch"]
    assert metrics["greatest_difference"] == card["parity"]["greatest_difference"]
    rows = data.generate(10, seed=5).rows(model.manifest)
    assert np.isfinite(check.run_graph(model.folder / layout.TENSORFLOW, rows)).all()


def test_a_second_repro_has_nothing_to_do(clone: Clone) -> None:
    assert "Running stage" not in clone.dvc("repro")
    assert clone.git("status", "--porcelain") == ""


def test_pull_restores_the_bytes_that_were_pushed(clone: Clone) -> None:
    before = clone.hashes()
    shutil.rmtree(clone.pipeline)
    shutil.rmtree(clone.folder / ".dvc" / "cache")
    clone.dvc("pull", "pipeline/repository")
    assert clone.hashes() == {
        name: value for name, value in before.items() if name.startswith("repository/")
    }
    clone.dvc("pull")
    assert clone.hashes() == before
    assert clone.dvc("status", "--json").strip() == "{}"


def test_a_parameter_reruns_what_depends_on_it_and_tags_hold_both_versions(clone: Clone) -> None:
    first = clone.hashes()
    clone.set(SMALL | {"pytorch": {"epochs": 3, "seed": 1}})
    assert set(json.loads(clone.dvc("status", "--json"))) == {"train_pytorch"}
    told = clone.dvc("repro", "train_pytorch")
    assert [stage for stage in STAGES if f"Running stage '{stage}'" in told] == ["train_pytorch"]
    # What is made from the weights is out of date; the rows and the other network are not.
    assert set(json.loads(clone.dvc("status", "--json"))) == {"export", "archive", "check"}
    second = clone.hashes("pytorch")
    assert second["pytorch/weights.pth"] != first["pytorch/weights.pth"]
    clone.release("v2")
    # As on another machine.
    shutil.rmtree(clone.pipeline)
    shutil.rmtree(clone.folder / ".dvc" / "cache")
    clone.git("checkout", "--quiet", "v1")
    clone.dvc("pull")
    assert clone.hashes() == first
    clone.git("checkout", "--quiet", "v2")
    clone.dvc("pull")
    assert clone.hashes("pytorch") == second


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_code_it_runs(stage: str) -> None:
    started = ["weight_change.example", *IMPORTS[stage]]
    started += ["weight_change.transformer"] if stage in FITTED else []
    needed = _imported(f"serving.{name}" for name in started)
    deps = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["deps"]
    assert needed - set(deps) == set()
    if stage in ("archive", "check"):
        assert "gateway/models" in deps


def test_parameters_are_those_of_the_committed_model() -> None:
    parameters = yaml.safe_load((ROOT / "params.yaml").read_text())
    card = json.loads((REPOSITORY / NAME / layout.VERSION / layout.CARD).read_bytes())
    assert parameters["data"]["rows"] == card["data"]["training_rows"]
    seeds = {name: parameters[name]["seed"] for name in ("pytorch", "tensorflow")}
    seeds["training_rows"] = parameters["data"]["seed"]
    assert seeds.items() <= card["seeds"].items()
    assert {parameters[name]["epochs"] for name in ("pytorch", "tensorflow")} == {EPOCHS}


def _imported(modules: Iterable[str]) -> set[str]:
    """The files of serving/ that come with these modules, by their own imports at the top."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        file = f"{name.replace('.', '/')}.py"
        if not name.startswith("serving.") or file in found or not (ROOT / file).is_file():
            continue
        found.add(file)
        for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom):
                waiting += [str(node.module), *(f"{node.module}.{a.name}" for a in node.names)]
            elif isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
    return found


def _files(model: Path) -> set[str]:
    return {str(file.relative_to(model)) for file in model.rglob("*") if file.is_file()}
