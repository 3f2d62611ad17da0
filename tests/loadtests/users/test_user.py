"""The classes that a manifest gives."""

from __future__ import annotations

import pytest

from gateway.models.manifest import Manifest
from loadtests.users.user import GatewayUser, user_classes
from tests.conftest import REPOSITORY

MANIFEST = Manifest.load(REPOSITORY / "weight-change")


def test_each_class_asks_its_backend_and_lineage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_API_KEY", raising=False)
    classes = user_classes(MANIFEST)
    torchserve = classes["TorchserveUser"]
    assert issubclass(torchserve, GatewayUser)
    assert not torchserve.abstract
    assert torchserve.path == ("/v1/predict?backend=torchserve&lineage=pytorch&model=weight-change")
    assert classes["OnnxTensorflowUser"].path.endswith(
        "backend=onnx&lineage=tensorflow&model=weight-change"
    )
    assert torchserve.default_headers == {"Content-Type": "application/json"}


def test_the_tasks_have_their_tags_and_weights() -> None:
    tasks = list(user_classes(MANIFEST)["TorchserveUser"].tasks)
    tags = [next(iter(task.locust_tag_set)) for task in tasks]  # type: ignore[union-attr]
    assert {tag: tags.count(tag) for tag in tags} == {"single": 20, "batch": 2, "errors": 1}


def test_the_api_key_of_the_environment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_API_KEY", "secret")
    headers = user_classes(MANIFEST)["TorchserveUser"].default_headers
    assert headers is not None
    assert headers["X-API-Key"] == "secret"
