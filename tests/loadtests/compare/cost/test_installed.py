from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.compare.cost.installed import installed
from tests.loadtests.compare.cost.conftest import MakeDistribution

#: A program in Java's place; it tells version and home as the real one does.
_JAVA = """#!/bin/sh
echo "Property settings:" >&2
echo "    java.home = {home}" >&2
echo 'openjdk version "17.0.1" 2021-10-19' >&2
"""


@pytest.fixture
def packages(site: Path, install: MakeDistribution) -> list[str]:
    """This project in a folder where TorchServe is installed and TensorFlow is not."""
    install(
        "model-serving-gateway",
        1_000_000,
        (
            "numpy",
            "torchserve; extra == 'torchserve'",
            "tensorflow; extra == 'tfserving'",
        ),
    )
    install("numpy", 2_000_000)
    install("torchserve", 4_000_000, ("torch",))
    install("torch", 8_000_000)
    return [str(site)]


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime of 16 MB whose program is somewhere else than its home."""
    home, program = tmp_path / "runtime", tmp_path / "elsewhere" / "bin" / "java"
    for folder in (home, program.parent):
        folder.mkdir(parents=True)
    (home / "modules").write_bytes(b"x" * 16_000_000)
    program.write_text(_JAVA.format(home=home))
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "elsewhere"))
    return home


def test_the_gateway_takes_no_extra(packages: list[str]) -> None:
    figure = installed("gateway", path=packages)
    assert figure.id == "cost.gateway.install"
    assert figure.value == pytest.approx(3, abs=0.01)
    assert figure.unit == "MB"
    assert figure.remark.startswith("pip install '.'; largest: numpy 2, model-serving-gateway 1")


def test_an_extra_and_java_are_added(packages: list[str], java: Path) -> None:
    figure = installed("torchserve", path=packages)
    assert figure.value == pytest.approx(31, abs=0.01)
    assert figure.remark == (
        "pip install '.[torchserve]' and Java; largest: Java 16, torch 8, torchserve 4"
    )


def test_what_is_missing_is_named(
    packages: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand_in = installed("tfserving", "tensorflow-serving", packages)
    assert (stand_in.value, stand_in.remark) == (None, "not installed here: tensorflow")
    assert stand_in.stand_in == "tensorflow-serving"
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    without_java = installed("torchserve", path=packages)
    assert (without_java.value, without_java.remark) == (None, "not installed here: Java")
    (tmp_path / "nothing").mkdir()
    without_us = installed("gateway", path=[str(tmp_path / "nothing")])
    assert without_us.remark == "not installed here: model-serving-gateway"


def test_a_program_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert installed("tfserving").remark == "not installed here: tensorflow_model_server"
    program = tmp_path / "tensorflow_model_server"
    program.write_bytes(b"x" * 5_000_000)
    program.chmod(0o755)
    figure = installed("tfserving")
    assert figure.value == 5
    assert figure.stand_in is None


def test_nobody_knows_what_others_need() -> None:
    figure = installed("triton")
    assert (figure.value, figure.remark) == (None, "not applicable: what it needs is not known")


def test_this_environment() -> None:
    figure = installed("gateway")
    assert figure.value is not None
    assert 50 < figure.value < 1000
    assert "onnxruntime" in figure.remark
