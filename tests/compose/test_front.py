"""The stack's front before three gateways: a rolling update behind it loses nothing."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession

from serving.launch.ports import free_ports
from tests.compose.load import Load
from tests.conftest import REPOSITORY, ROOT, TALK
from tests.processes import Gateway

pytestmark = pytest.mark.haproxy

CONFIG = ROOT / "compose" / "front" / "haproxy.cfg"
_FOUND = " init-addr none resolvers docker\n    server-template replica 50 gateway:8000\n"
_CLIENTS = 8
#: As stack.yaml has it.
_GRACE_S = 5.0


def test_haproxy_takes_the_configuration(tmp_path: Path) -> None:
    def check(path: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["haproxy", "-c", "-f", str(path)], capture_output=True, text=True, check=False
        )

    done = check(CONFIG)
    assert done.returncode == 0, done.stderr
    broken = tmp_path / "haproxy.cfg"
    broken.write_text(CONFIG.read_text().replace("httpchk", "httpcheck"))
    assert check(broken).returncode != 0


@contextmanager
def front(folder: Path, port: int, replicas: list[int]) -> Iterator[str]:
    """The front as it is, but for its port and the way it finds the replicas."""
    text = CONFIG.read_text()
    assert _FOUND in text
    servers = "".join(f"\n    server replica{p} 127.0.0.1:{p}" for p in replicas)
    path = folder / "haproxy.cfg"
    path.write_text(
        text.replace(_FOUND, servers + "\n").replace("bind :8000", f"bind 127.0.0.1:{port}")
    )
    with (folder / "front.log").open("wb") as log:
        process = subprocess.Popen(["haproxy", "-db", "-f", str(path)], stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


async def _ask(session: ClientSession, url: str, until: asyncio.Event) -> Counter[str]:
    """What became of each request of one client."""
    seen: Counter[str] = Counter()
    while not until.is_set():
        try:
            async with session.post(f"{url}/v1/predict?backend=onnx", json=TALK) as response:
                await response.read()
                seen[str(response.status)] += 1
        except (ClientError, TimeoutError) as error:
            seen[repr(error)] += 1
    return seen


async def _status(session: ClientSession, url: str) -> int:
    try:
        async with session.get(url) as response:
            return response.status
    except ClientError:
        return 0


async def _becomes(session: ClientSession, url: str, status: int) -> None:
    for _ in range(200):
        if await _status(session, url) == status:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{url} did not become {status}")


async def test_a_rolling_update_loses_nothing(tmp_path: Path) -> None:
    *ports, fresh, public = free_ports(5)

    def replica(port: int) -> Gateway:
        grace = {"GATEWAY_DRAIN_GRACE_S": str(_GRACE_S)}
        return Gateway(REPOSITORY, "--port", str(port), **grace)

    with ExitStack() as stack:
        running = [stack.enter_context(replica(port)) for port in ports]
        url = stack.enter_context(front(tmp_path, public, [*ports, fresh]))
        async with ClientSession() as session:
            await _becomes(session, f"{url}/front", 200)
            done = asyncio.Event()
            clients = [asyncio.create_task(_ask(session, url, done)) for _ in range(_CLIENTS)]
            await asyncio.sleep(1)
            # start-first: the new one is there before the old one is told to stop.
            started = await asyncio.to_thread(stack.enter_context, replica(fresh))
            for old in running:
                await asyncio.sleep(1)
                stopped = await asyncio.to_thread(old.stop, signal.SIGTERM, _GRACE_S + 10)
                assert stopped == 0
            done.set()
            seen = sum(await asyncio.gather(*clients), Counter[str]())
            assert started.process.poll() is None
            # With the last replica gone the front says so, to whoever watches it.
            await asyncio.to_thread(started.process.kill)
            await _becomes(session, f"{url}/front", 503)
    print("behind the front:", dict(seen))
    assert set(seen) == {"200"}, seen
    assert seen["200"] > 1_000


async def test_a_replica_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    *ports, public = free_ports(4)
    with ExitStack() as stack:
        running = [stack.enter_context(Gateway(REPOSITORY, "--port", str(p))) for p in ports]
        url = stack.enter_context(front(tmp_path, public, ports))
        async with ClientSession() as session:
            await _becomes(session, f"{url}/front", 200)

        def ask() -> Counter[str]:
            # These clients send a request's body after its head, not with it.
            with Load(url, "onnx", TALK, clients=_CLIENTS) as load:
                load.go_on(300)
                for victim in running[:2]:
                    victim.process.kill()
                    load.go_on(300)
            return load.outcomes

        seen = await asyncio.to_thread(ask)
    print("behind the front:", dict(seen))
    assert set(seen) == {"200"}, seen
