"""Several servers at once: started together, restarted, stopped in order."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from serving.launch import LaunchError, Supervisor
from tests.serving.launch.conftest import MakeSmall, Small, assert_gone
from tests.waiting import until


@asynccontextmanager
async def watching(supervisor: Supervisor) -> AsyncIterator[None]:
    await supervisor.start()
    task = asyncio.create_task(supervisor.watch())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await supervisor.stop()


async def test_start_and_stop_in_order(make_small: MakeSmall) -> None:
    front, left, right = (make_small(name=name) for name in ("front", "left", "right"))
    seen: list[tuple[str, ...]] = []
    supervisor = Supervisor([[front], [left, right]])
    supervisor.on_change = lambda: seen.append(tuple(i.state for i in supervisor.describe()))
    await supervisor.start()
    assert seen[-1] == ("ready", "ready", "ready")
    await supervisor.stop()
    assert seen[-1] == ("stopped", "stopped", "stopped")
    stopping = seen[seen.index(("ready", "ready", "ready")) :]
    assert ("stopped", "stopping", "stopping") in stopping
    assert not any(one[0] != "stopped" and "stopped" in one[1:] for one in stopping)
    for server in (front, left, right):
        assert_gone(server.pid)


async def test_one_that_does_not_start_ends_the_start(make_small: MakeSmall) -> None:
    good, bad = make_small(name="good"), make_small("raise SystemExit('no')", name="bad")
    supervisor = Supervisor([[good], [bad]])
    with pytest.raises(LaunchError, match="bad ended with code 1"):
        await supervisor.start()
    await supervisor.stop()
    assert_gone(good.pid)


async def test_a_dead_server_is_restarted(make_small: MakeSmall) -> None:
    steady, frail = make_small(name="steady"), make_small(name="frail")
    supervisor = Supervisor([[steady], [frail]], first_delay_s=0.1)
    problems: list[str] = []
    supervisor.on_change = lambda: problems.append(frail.problem)
    async with watching(supervisor):
        first = (steady.pid, frail.pid)
        assert frail.pid is not None
        os.kill(frail.pid, signal.SIGKILL)
        await until(lambda: frail.restarts == 1 and frail.state == "ready")
        assert "was killed by signal 9" in problems
        assert frail.describe().problem == ""
        assert steady.pid == first[0]
        assert frail.pid != first[1]
    assert_gone(frail.pid)


async def test_a_restart_is_tried_until_it_works(make_small: MakeSmall) -> None:
    server = make_small()
    supervisor = Supervisor([[server]], first_delay_s=0.05)
    async with watching(supervisor):
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.kill()
            await server.wait_ended()
            other.bind(("127.0.0.1", server.port))
            other.listen()
            await until(lambda: "cannot be used" in server.problem)
            assert server.state == "died"
        await until(lambda: server.state == "ready")
        assert server.restarts >= 2


async def test_cancelling_the_start_leaves_nothing(make_small: MakeSmall) -> None:
    slow = make_small("import time; time.sleep(600)")
    supervisor = Supervisor([[slow]])
    task = asyncio.create_task(supervisor.start())
    await until(lambda: slow.running)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await supervisor.stop()
    assert_gone(slow.pid)


async def test_kill_ends_all(make_small: MakeSmall) -> None:
    servers: list[Small] = [make_small(name=name) for name in ("a", "b")]
    supervisor = Supervisor([servers])
    await supervisor.start()
    supervisor.kill()
    for server in servers:
        await server.wait_ended()
        assert_gone(server.pid)
