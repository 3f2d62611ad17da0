"""Routing: which target a request resolves to, and truthful readiness."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.backends import Call, MemoryBackend
from gateway.config import Settings
from gateway.errors import BackendError, BackendUnavailable, NotFound
from gateway.models.rows import Outputs, Rows
from gateway.routing.router import Router, open_router
from tests.conftest import MIXED, write_model

LINEAGES: dict[str, Any] = {
    "first": {"lineages": {"pytorch": {}, "tensorflow": {}}},
    "second": {"lineages": {"tensorflow": {}, "jax": {}}},
}


def zeros(rows: Rows) -> Outputs:
    return {"total": np.zeros(rows.count), "named": np.array([""] * rows.count)}


def router(tmp_path: Path, **settings: Any) -> Router:
    write_model(tmp_path / "mixed", MIXED | {"backends": copy.deepcopy(LINEAGES)})
    backends = {name: MemoryBackend(zeros, name) for name in LINEAGES}
    given: dict[str, Any] = {"required_backends": "first,second", "health_max_age_s": 1e-9}
    return open_router(Settings(repository=str(tmp_path), **given | settings), backends)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ("first", "pytorch")),
        ({"backend": "auto"}, ("first", "pytorch")),
        ({"backend": "second"}, ("second", "tensorflow")),
        ({"lineage": "tensorflow"}, ("first", "tensorflow")),
        ({"lineage": "jax"}, ("second", "jax")),
        ({"backend": "second", "lineage": "jax"}, ("second", "jax")),
    ],
)
async def test_select(tmp_path: Path, query: dict[str, str], expected: tuple[str, str]) -> None:
    async with router(tmp_path) as routed:
        (target,) = routed.select(**query).fixed[:1]
        assert (target.backend, target.lineage) == expected


async def test_the_default_backend_is_a_setting(tmp_path: Path) -> None:
    async with router(tmp_path, default_backend="second") as routed:
        assert routed.select().fixed[0].backend == "second"
        assert routed.select(lineage="pytorch").fixed[0].backend == "first"


@pytest.mark.parametrize(
    ("query", "field", "allowed"),
    [
        ({"backend": "third"}, "backend", ["first", "second", "auto"]),
        ({"lineage": "mxnet"}, "lineage", ["pytorch", "tensorflow", "jax"]),
        ({"backend": "second", "lineage": "pytorch"}, "lineage", ["tensorflow", "jax"]),
        ({"model": "other"}, "model", ["mixed"]),
        ({"version": "9"}, "version", ["1"]),
    ],
)
async def test_unknown_names_list_what_there_is(
    tmp_path: Path, query: dict[str, str], field: str, allowed: list[str]
) -> None:
    async with router(tmp_path) as routed:
        with pytest.raises(NotFound) as caught:
            routed.select(**query)
    assert caught.value.members == {"field": field, "allowed": allowed}


async def test_readiness_follows_the_required_backends(tmp_path: Path) -> None:
    async with router(tmp_path) as routed:
        assert await routed.unready() == []
        second = routed.backends["second"]
        assert isinstance(second, MemoryBackend)
        second.fail = BackendUnavailable("second", "it is gone")
        (target, *_) = [t for t in routed.health.states if t.backend == "second"]
        rows = target.model.validator.convert([target.model.manifest.example])
        with pytest.raises(BackendError):
            await routed.predict((target,), rows, Call.within(1))
        assert any("it is gone" in reason for reason in await routed.unready())
        second.fail = None
        assert await routed.unready() == []
        assert routed.health.states[target].last_error == "second: it is gone"


async def test_a_backend_that_is_not_required_does_not_hold_up(tmp_path: Path) -> None:
    async with router(tmp_path, required_backends="first") as routed:
        second = routed.backends["second"]
        assert isinstance(second, MemoryBackend)
        second.fail = BackendUnavailable("second", "it is gone")
        assert await routed.unready() == []


async def test_a_required_backend_must_serve_something(tmp_path: Path) -> None:
    async with router(tmp_path, required_backends="first,elsewhere") as routed:
        assert await routed.unready() == ["elsewhere: no model is served by it"]


async def test_a_model_that_fails_to_load_is_never_ready(mixed_repository: Path) -> None:
    (mixed_repository / "mixed" / "1" / "mixed.onnx").write_bytes(b"broken")
    async with open_router(Settings(repository=str(mixed_repository))) as routed:
        (target,) = routed.select().fixed
        assert await routed.unready()
        rows = target.model.validator.convert([target.model.manifest.example])
        with pytest.raises(BackendUnavailable, match=r"mixed\.onnx"):
            await routed.predict((target,), rows, Call.within(1))
        assert await routed.unready()


async def test_a_backend_without_an_adapter_is_a_failure(tmp_path: Path) -> None:
    write_model(tmp_path / "mixed", MIXED | {"backends": LINEAGES})
    async with open_router(Settings(repository=str(tmp_path))) as routed:
        assert any("no adapter" in reason for reason in await routed.unready())


async def test_the_warm_up_must_be_answered(tmp_path: Path) -> None:
    routed = router(tmp_path)
    first = routed.backends["first"]
    assert isinstance(first, MemoryBackend)
    first.predictor = lambda rows: {}
    async with routed:
        assert [r for r in await routed.unready() if "warm-up" in r and r.startswith("first")]
