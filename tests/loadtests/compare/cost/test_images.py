"""With an object in the engine's place: what is tested is what becomes of its answers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import BuildError, ImageNotFound

from loadtests.compare.cost.images import build, connect, sizes
from loadtests.compare.errors import CompareError


class FakeEngine:
    """Stands in for a Docker client; it has the images it is given and builds nothing."""

    def __init__(self, sizes: dict[str, int], broken: str = "") -> None:
        self.images = self
        self.sizes = sizes
        self.broken = broken
        self.built: dict[str, Any] = {}

    def get(self, image: str) -> Any:
        if image not in self.sizes:
            raise ImageNotFound("404", explanation=f"No such image: {image}")
        return SimpleNamespace(attrs={"Size": self.sizes[image]})

    def build(self, **options: Any) -> None:
        if self.broken:
            raise BuildError(self.broken, [])
        self.built = options
        self.sizes[options["tag"]] = 7_000_000


def _nobody() -> Any:
    raise CompareError("no Docker engine answers here")


def test_sizes() -> None:
    engine = FakeEngine({"tensorflow/serving": 450_600_000})
    found = sizes(["tensorflow/serving", "gateway:latest"], lambda: engine)
    assert found["tensorflow/serving"].id == "cost.tensorflow-serving.image"
    assert (found["tensorflow/serving"].value, found["tensorflow/serving"].unit) == (450.6, "MB")
    assert found["gateway:latest"].value is None
    assert found["gateway:latest"].remark == (
        "the Docker engine refused: No such image: gateway:latest"
    )


def test_a_build_keeps_no_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILD_NETWORK", "host")
    engine = FakeEngine({})
    size, seconds = build("gateway", tmp_path, lambda: engine)
    assert engine.built["nocache"] is True
    assert (engine.built["path"], engine.built["dockerfile"]) == (str(tmp_path), "Dockerfile")
    assert engine.built["network_mode"] == "host"
    assert size.value == 7
    assert seconds.value is not None
    assert seconds.unit == "s"
    assert size.id != seconds.id


def test_a_dockerfile_is_built_in_the_working_folder(tmp_path: Path) -> None:
    engine = FakeEngine({})
    build("gateway", tmp_path / "gateway.Dockerfile", lambda: engine)
    assert engine.built["path"] == "."
    assert engine.built["dockerfile"] == str(tmp_path / "gateway.Dockerfile")


def test_a_build_that_fails_says_why(tmp_path: Path) -> None:
    engine = FakeEngine({}, broken="COPY failed: no such file\nand more")
    size, seconds = build("gateway", tmp_path, connect=lambda: engine)
    assert (size.value, seconds.value) == (None, None)
    assert seconds.remark == "the Docker engine refused: COPY failed: no such file"


def test_without_an_engine(tmp_path: Path) -> None:
    assert sizes(["gateway"], _nobody)["gateway"].remark == "no Docker engine answers here"
    size, seconds = build("gateway", tmp_path, connect=_nobody)
    assert (size.value, seconds.value) == (None, None)
    assert seconds.remark == "no Docker engine answers here"


def test_an_engine_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(CompareError, match="no Docker engine answers here"):
        connect()
