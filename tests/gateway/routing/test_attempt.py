"""A request's way from target to target: fallback, retries, breakers, deadlines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.backends import Call, MemoryBackend
from gateway.config import Settings
from gateway.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    GatewayError,
    InputRefused,
)
from gateway.models.rows import Outputs, Rows
from gateway.routing.router import Router, open_router
from tests.conftest import MIXED, write_model
from tests.held import held, turns
from tests.waiting import until

LINEAGES: dict[str, Any] = {
    "remote": {"lineages": {"pytorch": {}}},
    "other": {"lineages": {"tensorflow": {}}},
    "local": {"lineages": {"pytorch": {}}},
}


def zeros(rows: Rows) -> Outputs:
    return {"total": np.zeros(rows.count), "named": np.array([""] * rows.count)}


@pytest.fixture
async def routed(tmp_path: Path) -> AsyncIterator[Router]:
    write_model(tmp_path / "mixed", MIXED | {"backends": LINEAGES})
    backends = {name: MemoryBackend(zeros, name) for name in LINEAGES}
    backends["remote"].url = "http://somewhere"
    settings = Settings(repository=str(tmp_path), health_timeout_s=0.1)
    async with open_router(settings, backends) as router:
        yield router


def memory(router: Router, name: str) -> MemoryBackend:
    backend = router.backends[name]
    assert isinstance(backend, MemoryBackend)
    return backend


async def ask(router: Router, backend: str | None = None, within: float = 5) -> str:
    """The backend that answers."""
    targets = router.select(backend=backend).fixed
    rows = targets[0].model.validator.convert([MIXED_EXAMPLE])
    return (await router.predict(targets, rows, Call.within(within))).results.target.backend


MIXED_EXAMPLE = {"count": 2, "size": 0.5, "big": False, "name": "a"}


async def test_nobody_else_is_asked_about_a_refused_input(routed: Router) -> None:
    remote, other = memory(routed, "remote"), memory(routed, "other")
    remote.fail = InputRefused("remote", "index 99 is out of range")
    for _ in range(8):
        with pytest.raises(InputRefused, match="index 99"):
            await ask(routed, "auto")
    assert other.calls == []
    remote.fail = None
    assert await ask(routed) == "remote"  # its breaker has heard nothing of it


@pytest.mark.parametrize("kind", [BackendError, BackendUnavailable, BackendTimeout])
async def test_auto_goes_on_where_the_first_fails(routed: Router, kind: type[BackendError]) -> None:
    memory(routed, "remote").fail = kind("remote", "as told")
    assert await ask(routed, "auto") == "local"  # not the other lineage, which answers otherwise
    with pytest.raises(kind):
        await ask(routed, "remote")
    with pytest.raises(kind):
        await ask(routed)  # only auto goes on


async def test_auto_tells_the_last_failure_where_all_fail(routed: Router) -> None:
    for name in ("remote", "local"):
        memory(routed, name).fail = BackendError(name, f"{name} is broken")
    with pytest.raises(BackendError, match="local is broken"):
        await ask(routed, "auto")
    memory(routed, "local").fail = GatewayError("not a backend's failure")
    with pytest.raises(GatewayError, match="not a backend's failure"):
        await ask(routed, "auto")


async def test_one_that_hangs_leaves_time_for_the_next(routed: Router) -> None:
    memory(routed, "remote").delay = 10
    started = time.monotonic()
    assert await ask(routed, "auto", within=2) == "local"
    assert 0.99 < time.monotonic() - started < 1.8  # half of it, and what a busy machine takes
    with pytest.raises(BackendTimeout):
        await ask(routed, "remote", within=0.1)


async def test_a_server_out_of_reach_is_asked_once_more(routed: Router) -> None:
    remote = memory(routed, "remote")
    remote.fail = BackendUnavailable("remote", "restarting")
    asking = asyncio.create_task(ask(routed, "remote"))
    await until(lambda: remote.calls)
    remote.fail = None
    assert await asking == "remote"
    assert remote.calls == [1, 1]
    remote.calls.clear()
    remote.fail = BackendUnavailable("remote", "gone")
    with pytest.raises(BackendUnavailable):
        await ask(routed, "remote")
    assert remote.calls == [1, 1]
    remote.calls.clear()
    remote.fail = BackendError("remote", "a row could not be computed")
    with pytest.raises(BackendError):
        await ask(routed, "remote")
    assert remote.calls == [1]


async def test_retries_have_a_budget(routed: Router) -> None:
    remote = memory(routed, "remote")
    routed.versions.lanes[routed.select(backend="remote").fixed[0]].breaker._failures_to_open = (
        10**6
    )
    remote.fail = BackendUnavailable("remote", "gone")
    results = await asyncio.gather(
        *(ask(routed, "remote") for _ in range(1_000)), return_exceptions=True
    )
    assert all(isinstance(result, BackendUnavailable) for result in results)
    retried = routed.telemetry.retries.labels("mixed", "remote", "pytorch")._value.get()
    assert 100 <= retried <= 310  # a fifth of them and the reserve of 100


async def test_a_breaker_opens_and_closes_by_itself(routed: Router) -> None:
    remote = memory(routed, "remote")
    lane = routed.versions.lanes[routed.select(backend="remote").fixed[0]]
    remote.fail = BackendUnavailable("remote", "gone")
    while lane.breaker.allow():
        with pytest.raises(BackendUnavailable):
            await ask(routed, "remote")
    asked = len(remote.calls)
    with pytest.raises(BackendUnavailable, match="left alone") as caught:
        await ask(routed, "remote")
    assert int(caught.value.headers["Retry-After"]) >= 1
    assert await ask(routed, "auto") == "local"
    assert len(remote.calls) == asked
    remote.fail = None
    for _ in range(100):
        await asyncio.sleep(0.05)
        if lane.breaker.allow():
            break
    assert await ask(routed, "auto") == "remote"


async def test_an_open_breaker_lets_nobody_wait(routed: Router) -> None:
    remote = memory(routed, "remote")
    lane = routed.versions.lanes[routed.select(backend="remote").fixed[0]]
    gate = held(remote)
    first = asyncio.create_task(ask(routed, "remote"))
    await until(lambda: remote.calls)
    waiting = asyncio.create_task(ask(routed, "remote"))
    await until(lambda: lane.queued_rows)
    for _ in range(5):
        lane.failed(BackendTimeout("remote", "it hangs"), time.monotonic() - 2)
    with pytest.raises(BackendUnavailable, match="left alone"):
        await waiting
    gate.set()
    assert await first == "remote"


@pytest.mark.parametrize("fault", ["bad rows", "short deadlines"])
async def test_no_client_can_stop_a_backend_for_the_others(routed: Router, fault: str) -> None:
    remote = memory(routed, "remote")
    if fault == "bad rows":
        remote.fail = BackendError("remote", "a row could not be computed")
    else:
        remote.delay = 0.01
    for _ in range(20):
        with pytest.raises(BackendError):
            await ask(routed, "remote", within=0.005)
    remote.fail, remote.delay = None, 0
    target = routed.select(backend="remote").fixed[0]
    assert routed.versions.lanes[target].breaker.allow()
    assert routed.health.states[target].health.detail == "not checked yet"
    assert await ask(routed, "remote") == "remote"


async def test_who_leaves_is_asked_for_no_longer(routed: Router) -> None:
    remote = memory(routed, "remote")
    gate = held(remote)
    remote.fail = BackendUnavailable("remote", "gone")
    task = asyncio.create_task(ask(routed, "auto"))
    await until(lambda: remote.calls)
    task.cancel()
    await turns()
    gate.set()
    await turns()
    assert memory(routed, "local").calls == []
