"""Whom the requests of one query may be meant for."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.api.predict import PredictDoor
from gateway.backends import Target
from gateway.models.manifest import BackendSpec, Feature, Manifest, Output
from gateway.models.repository import Repository
from gateway.routing.policy import Canary, Route
from gateway.routing.selection import Selection


def target(name: str, feature: Feature) -> Target:
    backends = {"memory": BackendSpec({"only": {}})}
    entry = Repository().add(Manifest(name, (feature,), (Output("y"),), backends), "1", Path())
    return Target("memory", entry, "only", {})


PLAIN = target("plain", Feature("x", "number"))
SEEING = target("seeing", Feature("x", "image", size=(2, 2)))
OLD, NEW = Route("old"), Route("new")


def selection(*by_route: Target) -> Selection:
    routes = dict(zip((OLD, NEW), ((one,) for one in by_route), strict=False))
    return Selection((PLAIN,), Canary("m", {OLD: 50.0, NEW: 50.0}), routes)


def test_everyone_is_whom_any_draw_may_choose() -> None:
    assert Selection((PLAIN, SEEING)).everyone == {PLAIN, SEEING}
    assert selection(PLAIN, SEEING).everyone == {PLAIN, SEEING}


@pytest.mark.parametrize(
    ("chosen", "direct"),
    [
        (Selection((PLAIN,)), True),
        (Selection((SEEING,)), False),
        (Selection((PLAIN, SEEING)), False),
        (selection(PLAIN, PLAIN), True),
        (selection(PLAIN, SEEING), False),
    ],
)
def test_connections_take_only_what_never_has_pictures(chosen: Selection, direct: bool) -> None:
    router: Any = Mock()
    router.select.return_value = chosen
    door = PredictDoor(router, Mock())
    door._select(make_mocked_request("POST", "/v1/predict"))
    assert door.wants("/v1/predict") is direct
