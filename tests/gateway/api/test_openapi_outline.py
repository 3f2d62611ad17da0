"""The OpenAPI document's order for readers."""

from __future__ import annotations

from gateway.api.openapi import document
from gateway.config import Settings
from gateway.routing.router import open_router
from tests.conftest import REPOSITORY


def test_each_operation_has_a_tag_and_a_line() -> None:
    described = document(open_router(Settings(repository=str(REPOSITORY))))
    tags = [tag["name"] for tag in described["tags"]]
    assert tags == ["Predict", "Models", "Watch", "Manage"]
    used = set()
    for item in described["paths"].values():
        for operation in item.values():
            used.update(operation["tags"])
            assert 0 < len(operation["summary"]) < 100
            assert not operation["summary"].endswith(".")
            assert operation["description"].replace("\n", " ").startswith(operation["summary"])
    assert used == set(tags)


def test_a_tag_without_doors_is_left_out() -> None:
    settings = Settings(repository=str(REPOSITORY), management_port=9000)
    described = document(open_router(settings))
    assert [tag["name"] for tag in described["tags"]] == ["Predict", "Models", "Watch"]
