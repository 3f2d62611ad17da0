"""Which model the users ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.api.models import description
from gateway.models.manifest import Manifest
from gateway.models.repository import Repository
from loadtests.compare.errors import CompareError
from loadtests.users.manifests import described, load_manifest, write_repository
from tests.conftest import MIXED, REPOSITORY, write_model


def test_the_projects_own_model_by_default() -> None:
    assert load_manifest({}) == Manifest.load(REPOSITORY / "weight-change")


def test_the_variables_say_which_model(mixed_repository: Path) -> None:
    environ = {"LOADTEST_REPOSITORY": str(mixed_repository)}
    assert load_manifest(environ).name == "mixed"
    write_model(mixed_repository / "other", MIXED | {"name": "other"})
    with pytest.raises(CompareError, match=r"mixed, other.*LOADTEST_MODEL"):
        load_manifest(environ)
    assert load_manifest(environ | {"LOADTEST_MODEL": "other"}).name == "other"
    with pytest.raises(CompareError, match="mixed"):
        load_manifest(environ | {"LOADTEST_MODEL": "neither"})


def test_no_repository_is_said(tmp_path: Path) -> None:
    with pytest.raises(CompareError, match=r"no model.*LOADTEST_REPOSITORY"):
        load_manifest({"LOADTEST_REPOSITORY": str(tmp_path)})


def test_a_gateways_description_gives_the_manifest_back(tmp_path: Path) -> None:
    repository = Repository.scan(REPOSITORY)
    entry = repository.get()
    told = msgspec.json.decode(msgspec.json.encode(description(entry, repository)))
    known = described(told)
    assert known.features == entry.manifest.features
    assert known.outputs == entry.manifest.outputs
    assert known.parity == entry.manifest.parity
    assert {name: list(spec.lineages) for name, spec in known.backends.items()} == {
        name: list(spec.lineages) for name, spec in entry.manifest.backends.items()
    }
    folder = write_repository(known, tmp_path / "written")
    assert load_manifest({"LOADTEST_REPOSITORY": str(folder)}) == known


def test_so_does_that_of_a_model_with_labels(tmp_path: Path) -> None:
    output = {"name": "p", "labels": ["no", "yes"], "threshold": 0.25}
    write_model(tmp_path / "mixed", MIXED | {"outputs": [output]})
    repository = Repository.scan(tmp_path)
    told = msgspec.json.decode(msgspec.json.encode(description(repository.get(), repository)))
    assert described(told).outputs == repository.get().manifest.outputs


@pytest.mark.parametrize(
    "told", [{}, {"backends": []}, {"backends": {"onnx": 1}}, {"backends": {}}]
)
def test_another_description_is_said(told: dict[str, Any]) -> None:
    with pytest.raises(CompareError, match="another form"):
        described(told)
