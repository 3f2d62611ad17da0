"""Plain files: described once, and anew when they have changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.errors import ModelError
from gateway.models import plain
from gateway.models.derive import derive_manifest
from gateway.models.manifest import Manifest
from gateway.models.plain import Source, describe
from gateway.models.repository import Repository
from tests.conftest import linear_graph


def test_an_unchanged_file_is_not_derived_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    derived: list[str] = []

    def derive(path: Path) -> Manifest:
        derived.append(path.name)
        return derive_manifest(path)

    monkeypatch.setattr(plain, "derive_manifest", derive)
    paths = [linear_graph(tmp_path / f"{name}.onnx", [1.0]) for name in "abc"]
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    first = Repository.scan(tmp_path)
    assert derived == ["a.onnx", "b.onnx", "broken.onnx", "c.onnx"]
    derived.clear()
    linear_graph(paths[0], [1.0, 2.0])
    os.utime(paths[1], ns=(0, 0))
    second = Repository.scan(tmp_path, described=first.described)
    assert derived == ["a.onnx", "b.onnx", "broken.onnx"]
    assert second.get("a").manifest.features[0].shape == (2,)
    assert second.get("c").manifest is first.get("c").manifest
    assert second.get("c").source == Source.of(paths[2])
    assert set(second.described) == {Source.of(path) for path in paths}


@pytest.mark.parametrize("error", [ZeroDivisionError(), OSError("no such device")])
def test_whatever_a_file_does_is_its_own_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(path: Path) -> Manifest:
        raise error

    monkeypatch.setattr(plain, "derive_manifest", fail)
    path = linear_graph(tmp_path / "a.onnx", [1.0])
    words = f"a.onnx: {str(error) or 'ZeroDivisionError'}"
    with pytest.raises(ModelError, match=words):
        describe(path, {})
    assert Repository.scan(tmp_path).failures == {"a.onnx": words}
