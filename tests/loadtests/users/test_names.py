"""What the user classes are called."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.models.manifest import Manifest
from loadtests.users.names import class_names, classes_of
from tests.conftest import MIXED, REPOSITORY


def manifest(backends: dict[str, list[str]]) -> Manifest:
    spec: dict[str, Any] = {
        name: {"lineages": {lineage: {} for lineage in lineages}}
        for name, lineages in backends.items()
    }
    return msgspec.convert(MIXED | {"backends": spec}, Manifest)


def test_the_example_has_a_class_per_backend_and_per_lineage_where_there_are_several() -> None:
    assert class_names(Manifest.load(REPOSITORY / "weight-change")) == {
        "OnnxPytorchUser": ("onnx", "pytorch"),
        "OnnxTensorflowUser": ("onnx", "tensorflow"),
        "TorchserveUser": ("torchserve", "pytorch"),
        "TfservingUser": ("tfserving", "tensorflow"),
    }


def test_names_are_words_and_never_the_same() -> None:
    found = class_names(manifest({"my-server": ["a"], "my_server": ["a"], "vLLM": ["x.1", "x.2"]}))
    assert list(found) == ["MyServerUser", "MyServerUser_", "VLLMX1User", "VLLMX2User"]


def test_the_classes_of_a_backend_and_of_one_of_its_lineages() -> None:
    model = manifest({"onnx": ["a", "b"], "other": ["a"]})
    assert classes_of(model, "onnx") == ["OnnxAUser", "OnnxBUser"]
    assert classes_of(model, "onnx/b") == ["OnnxBUser"]
    assert classes_of(model, "other/a") == ["OtherUser"]
    assert classes_of(model, "other/b") == []
