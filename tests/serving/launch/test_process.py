"""What every launcher does: start, readiness, end of the whole process group, errors."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from serving.launch import LaunchError, groups
from serving.launch.process import get_json
from tests.serving.launch.conftest import ANSWERS, MakeSmall, assert_gone
from tests.waiting import until

IGNORES_SIGTERM = "    import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + ANSWERS
HAS_CHILD = """
    import subprocess, sys
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", child])
""" + ANSWERS.lstrip("\n")


async def test_life(make_small: MakeSmall) -> None:
    server = make_small()
    assert server.describe().state == "stopped"
    assert server.describe().pid is None
    await server.start()
    assert server.state == "starting"
    await server.wait_ready(20)
    info = server.describe()
    assert (info.state, info.url, info.stand_in) == ("ready", server.url, False)
    assert info.pid is not None
    assert os.getsid(info.pid) == info.pid  # out of reach of the terminal's signals
    assert server.log.read_text() == "started\n"
    with pytest.raises(LaunchError, match="running already"):
        await server.start()
    await server.stop()
    assert (server.state, server.describe().pid) == ("stopped", None)
    assert_gone(info.pid)
    await server.stop()


async def test_it_starts_again(make_small: MakeSmall) -> None:
    server = make_small()
    for _ in range(2):
        await server.start()
        await server.wait_ready(20)
        assert server.tail() == "started"
        await server.stop()
    assert server.log.read_text() == "started\nstarted\n"


async def test_one_that_ignores_sigterm_is_killed(make_small: MakeSmall) -> None:
    server = make_small(IGNORES_SIGTERM)
    await server.start()
    await server.wait_ready(20)
    await server.stop()
    assert_gone(server.pid)


async def test_children_end_with_it(make_small: MakeSmall) -> None:
    server = make_small(HAS_CHILD)
    await server.start()
    await server.wait_ready(20)
    assert server.pid is not None
    assert len(groups.members(server.pid)) == 2
    # Even when the server itself is gone first.
    os.kill(server.pid, signal.SIGKILL)
    await server.wait_ended()
    assert len(groups.members(server.pid)) == 1
    await server.stop()
    assert_gone(server.pid)


async def test_an_early_end_is_told_with_the_log(make_small: MakeSmall) -> None:
    server = make_small("""
        print("loading"); raise SystemExit("the disk is on fire")
    """)
    await server.start()
    with pytest.raises(LaunchError) as caught:
        await server.wait_ready(20)
    assert caught.value.message == "small ended with code 1 before it was ready"
    assert caught.value.log_tail == "loading\nthe disk is on fire"
    assert server.state == "died"
    assert_gone(server.pid)


async def test_one_that_is_never_ready(make_small: MakeSmall) -> None:
    server = make_small("import time; print('thinking', flush=True); time.sleep(600)")
    await server.start()
    await until(lambda: server.tail() == "thinking")
    with pytest.raises(LaunchError, match=r"small was not ready within 0\.5 s\nthinking"):
        await server.wait_ready(0.5)
    await server.stop()
    assert_gone(server.pid)


async def test_a_taken_port(make_small: MakeSmall) -> None:
    server = make_small()
    with socket.socket() as other:
        other.bind(("127.0.0.1", server.port))
        other.listen()
        with pytest.raises(LaunchError) as caught:
            await server.start()
    expected = f"port {server.port} (small test server) cannot be used: Address already in use."
    assert caught.value.message.startswith(expected)
    assert server.state == "died"
    assert server.pid is None


async def test_kill_does_not_wait(make_small: MakeSmall) -> None:
    server = make_small(HAS_CHILD)
    await server.start()
    await server.wait_ready(20)
    server.kill()
    await server.wait_ended()
    assert server.ending() == "was killed by signal 9"
    assert server.pid is not None
    assert await groups.wait_empty(server.pid, 5)


async def test_get_json_never_raises(tmp_path: Path) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        port = mute.getsockname()[1]
        assert await get_json(f"http://127.0.0.1:{port}/", timeout_s=0.2) == (0, None)
    assert await get_json(f"http://127.0.0.1:{port}/") == (0, None)

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        assert await get_json(f"http://127.0.0.1:{port}/") == (200, None)
