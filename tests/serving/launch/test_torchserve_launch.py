"""The real TorchServe, started, asked, stopped; and everything that can be missing."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import stat
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from serving.launch import LaunchError, TorchServe, groups
from serving.launch.ports import free_ports
from serving.launch.process import get_json
from serving.launch.properties import read_properties, write_properties
from serving.launch.requirements import find_java
from serving.launch.torchserve import TorchServePorts
from tests.conftest import REPOSITORY, ROOT, TALK, write_model
from tests.serving.launch.conftest import assert_gone

pytestmark = pytest.mark.java

ANY = TorchServePorts(0, 0, 0, 0, 0)


async def predict(url: str) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/predictions/weight-change", json=TALK) as reply,
    ):
        assert reply.status == 200
        return await reply.json(content_type=None)


async def test_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    server = TorchServe(tmp_path / "run", REPOSITORY, ANY)
    await server.start()
    try:
        await server.wait_ready(90)
        assert "weight_change" in json.dumps(await predict(server.url))
        status, models = await get_json(f"{server.management_url}/models/weight-change")
        assert status == 200
        assert (models[0]["batchSize"], models[0]["maxBatchDelay"]) == (16, 1)
        assert models[0]["workers"][0]["status"] == "READY"
        async with aiohttp.ClientSession() as session:
            metrics = await (await session.get(f"{server.metrics_url}/metrics")).text()
        assert "ts_inference_requests_total" in metrics
        assert server.pid is not None
        assert len(groups.members(server.pid)) == 2  # Java and its worker
        for port in server.ports.values():
            assert listens_locally_only(port)
    finally:
        await server.stop()
    assert_gone(server.pid)
    assert list(elsewhere.iterdir()) == []


def listens_locally_only(port: int) -> bool:
    """Whether every listener on the port is bound to the loopback address."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            address, state = line.split()[1], line.split()[3]
            host, number = address.split(":")
            if int(number, 16) == port and state == "0A":
                found.append(host)
    loopback = {"0100007F", "0000000000000000FFFF00000100007F"}
    return bool(found) and set(found) <= loopback


async def test_workers_end_with_a_killed_server_and_it_starts_again(tmp_path: Path) -> None:
    server = TorchServe(tmp_path / "run", REPOSITORY, ANY)
    await server.start()
    await server.wait_ready(90)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.wait_ended()
    assert server.ending() == "was killed by signal 9"
    await server.stop()
    assert_gone(server.pid)
    await server.start()
    await server.wait_ready(90)
    assert "weight_change" in json.dumps(await predict(server.url))
    await server.stop()
    assert_gone(server.pid)


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        server = TorchServe(tmp_path / "run", REPOSITORY, TorchServePorts(0, taken, 0, 0, 0))
        with pytest.raises(LaunchError) as caught:
            await server.start()
    assert caught.value.message.startswith(f"port {taken} (TorchServe management) cannot be used")
    assert server.pid is None


class Unchecked(TorchServe):
    """As if the port had been taken between the check and the start."""

    @property
    def ports(self) -> Mapping[str, int]:
        return {}


async def test_a_port_taken_in_between(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        server = Unchecked(tmp_path / "run", REPOSITORY, TorchServePorts(taken, 0, 0, 0, 0))
        await server.start()
        try:
            # TorchServe itself says so, and ends with code 0.
            with pytest.raises(LaunchError, match="before it was ready") as caught:
                await server.wait_ready(60)
        finally:
            await server.stop()
    assert "bind" in caught.value.log_tail
    assert_gone(server.pid)


async def test_without_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    server = TorchServe(tmp_path / "run", REPOSITORY, ANY)
    with pytest.raises(LaunchError) as caught:
        await server.start()
    assert "needs Java, and there is none on PATH" in caught.value.message
    assert "apt-get install openjdk-17-jre-headless" in caught.value.message
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(LaunchError, match="none in JAVA_HOME"):
        find_java()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'openjdk version \"1.8.0_292\"' >&2", "is Java 8, which is too old"),
        ("echo 'Unable to locate a Java Runtime.' >&2; exit 1", "Unable to locate a Java Runtime"),
    ],
)
def test_a_java_that_will_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\n{script}\n")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(LaunchError, match=message):
        find_java()


async def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    server = TorchServe(tmp_path / "run", REPOSITORY, ANY)
    with pytest.raises(LaunchError, match=re.escape("pip install '.[torchserve]'")):
        await server.start()


async def test_without_archives(tmp_path: Path, mixed_repository: Path) -> None:
    server = TorchServe(tmp_path / "run", mixed_repository, ANY)
    with pytest.raises(LaunchError, match="no TorchServe archive"):
        await server.start()
    (mixed_repository / "mixed" / "1" / "broken.mar").write_text("not a zip file")
    with pytest.raises(LaunchError, match=r"broken\.mar is not a TorchServe archive"):
        await server.start()
    server = TorchServe(tmp_path / "run", tmp_path / "nowhere", ANY)
    with pytest.raises(LaunchError, match="there is no model"):
        await server.start()


async def test_the_effective_configuration(tmp_path: Path) -> None:
    """Archives of the newest versions, entries of the file kept, defaults for the others."""
    repository = tmp_path / "repository"
    for version in ("1", "2", "10"):
        folder = repository / "mixed"
        if not folder.exists():
            write_model(folder)
        (folder / version).mkdir(exist_ok=True)
        write_archive(folder / version / "m.mar", "mixed", version)
    other = write_model(repository / "other", {**MANIFEST, "name": "other"})
    write_archive(other / "other.mar", "other", "1.0")
    given = {"other": {"1.0": {"batchSize": 3, "marName": "wrong.mar"}}}
    config = tmp_path / "given.properties"
    write_properties(config, {"job_queue_size": "7", "models": json.dumps(given)})

    server = TorchServe(tmp_path / "run", repository, ANY, config)
    command = await server.prepare()
    assert command.folder is not None
    store = {path.name for path in (command.folder / "store").iterdir()}
    assert store == {"m.mar", "other.mar"}
    written = read_properties(command.folder / "config.properties")
    assert written["job_queue_size"] == "7"
    assert written["inference_address"] == server.url
    models = json.loads(written["models"])
    assert set(models) == {"mixed", "other"}
    assert set(models["mixed"]) == {"10"}
    assert models["mixed"]["10"]["marName"] == "m.mar"
    assert models["other"]["1.0"]["batchSize"] == 3
    assert models["other"]["1.0"]["marName"] == "other.mar"


MANIFEST: dict[str, Any] = {
    "features": [{"name": "count", "type": "integer"}],
    "outputs": [{"name": "total"}],
    "backends": {"torchserve": {"lineages": {"pytorch": {"model": "other"}}}},
}


def write_archive(path: Path, name: str, version: str) -> None:
    manifest = {"model": {"modelName": name, "modelVersion": version}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))


async def test_a_long_run_folder(tmp_path: Path) -> None:
    """The workers' Unix sockets need a short path; a long run folder gets another for them."""
    run = tmp_path / ("long" * 20)
    server = TorchServe(run, REPOSITORY, ANY)
    command = await server.prepare()
    temp = Path(command.environment["TEMP"])
    assert len(str(temp)) < 85
    assert os.listdir(temp) == []
    await server.start()
    await server.wait_ready(90)
    await server.stop()
    with pytest.raises(FileNotFoundError):
        os.listdir(temp)


async def test_the_configuration_file_works_by_itself(tmp_path: Path) -> None:
    """With TorchServe's own launcher, as its comment says; only the ports are others."""
    store = tmp_path / "store"
    store.mkdir()
    shutil.copy(REPOSITORY / "weight-change" / "1" / "weight-change.mar", store)
    written = ("8080", "8081", "8082", "7070", "7071")
    ports = dict(zip(written, free_ports(len(written)), strict=True))
    text = (ROOT / "config.properties").read_text()
    config = tmp_path / "config.properties"
    # In one pass: a port that was found may hold the digits of another that was written.
    config.write_text(re.sub("|".join(written), lambda found: str(ports[found[0]]), text))
    temp = tmp_path / "t"
    temp.mkdir()
    command: list[str | Path] = [
        Path(sys.executable).with_name("torchserve"), "--start", "--foreground", "--ncs",
        "--ts-config", config, "--model-store", store,
    ]  # fmt: skip
    environment = os.environ | {"TMPDIR": str(temp), "TEMP": str(temp)}
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = TorchServe(tmp_path / "run", REPOSITORY, TorchServePorts(*ports.values()))
    try:
        await server.prepare()  # tells the probe which models to expect
        for _ in range(600):
            if await server.probe():
                break
            assert process.returncode is None, log.read_text()
            await asyncio.sleep(0.1)
        assert "weight_change" in json.dumps(await predict(server.url))
        _, models = await get_json(f"{server.management_url}/models/weight-change")
        assert (models[0]["batchSize"], models[0]["maxBatchDelay"]) == (16, 1)
    finally:
        groups.terminate(process.pid)
        assert await groups.wait_empty(process.pid, 20)
        await process.wait()


def test_properties(tmp_path: Path) -> None:
    path = tmp_path / "p"
    path.write_text("# c\n! c\n\na=1\n b = x=y \nlong=one \\\n   two\n")
    assert read_properties(path) == {"a": "1", "b": "x=y", "long": "one two"}
    path.write_text("nonsense\n")
    with pytest.raises(LaunchError, match="expected key=value, found: nonsense"):
        read_properties(path)
    with pytest.raises(LaunchError, match="cannot be read"):
        read_properties(tmp_path / "missing")
