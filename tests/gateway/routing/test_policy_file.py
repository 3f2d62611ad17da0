"""The routing policy's file as it is followed: every change, and what a bad one leaves alone."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.config import Settings
from gateway.routing.policy import Policy, Route
from gateway.routing.policy_file import PolicyFile, policy_path
from tests.waiting import until

OFFERS = {"m": {"onnx": ["pytorch"], "torchserve": ["pytorch"]}}
ONNX = "models:\n  m: {default: onnx}\n"
TORCHSERVE = "models:\n  m: {default: torchserve}\n"
#: Short, so that the tests are; the promise of a second is of the default.
INTERVAL_S = 0.01

Follow = Callable[..., Awaitable[PolicyFile]]


def open_file(path: Path, on_change: Callable[[Policy], None] | None = None) -> PolicyFile:
    return PolicyFile(path, lambda: OFFERS, on_change)


def default(file: PolicyFile) -> str:
    return str(file.policy.of("m").default)


def write(path: Path, text: str) -> None:
    path.write_text(text)


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path, text: str) -> None:
    """Rename a new file over the old one, as editors and Git do."""
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "routing.yaml"


@pytest.fixture
async def follow() -> AsyncIterator[Follow]:
    """Loads a file and follows it until the test ends."""
    tasks: list[asyncio.Task[None]] = []

    async def start(path: Path, interval_s: float = INTERVAL_S) -> PolicyFile:
        file = open_file(path)
        file.load()
        tasks.append(asyncio.create_task(file.follow(interval_s)))
        return file

    yield start
    for task in tasks:
        assert not task.done(), "following has ended"
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_without_a_file_the_policy_is_empty(path: Path) -> None:
    file = open_file(path)
    file.load()
    assert (file.policy, file.digest, file.error) == (Policy(), "", None)


async def test_every_kind_of_change_is_followed(path: Path, follow: Follow) -> None:
    file = await follow(path)
    write(path, ONNX)
    await until(lambda: default(file) == "onnx")
    replace(path, TORCHSERVE)
    await until(lambda: default(file) == "torchserve")
    write(path, ONNX)
    await until(lambda: default(file) == "onnx")
    remove(path)
    await until(lambda: file.policy == Policy() and file.digest == "")
    write(path, TORCHSERVE)
    await until(lambda: default(file) == "torchserve")


async def test_a_change_is_in_force_within_a_second(
    path: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in looks, as a busy machine may stretch a second."""
    write(path, ONNX)
    file = await follow(path)
    looks = []
    look = PolicyFile._look

    def counted(of: PolicyFile) -> tuple[int, ...]:
        looks.append(default(of))
        return look(of)

    monkeypatch.setattr(PolicyFile, "_look", counted)
    replace(path, TORCHSERVE)
    await until(lambda: default(file) == "torchserve")
    needed = looks.count("onnx") - 1  # loading looks, too
    interval_s = inspect.signature(PolicyFile.follow).parameters["interval_s"].default
    assert 0 < needed * interval_s < 1.0


async def test_edits_without_a_pause_are_followed(path: Path, follow: Follow) -> None:
    file = await follow(path)
    digests = set()
    for number in range(100):
        replace(path, f"{ONNX}# {number}\n")
        await asyncio.sleep(INTERVAL_S / 2)
        digests.add(file.digest)
    assert len(digests) > 5


async def test_a_file_written_in_two_steps_is_read_whole(path: Path, follow: Follow) -> None:
    write(path, ONNX)
    file = await follow(path, 0.1)
    seen = set()
    for text in (TORCHSERVE, ONNX, TORCHSERVE):
        write(path, "")
        await asyncio.sleep(0.05)
        write(path, text)
        for _ in range(30):
            seen.add(default(file))
            await asyncio.sleep(0.01)
    assert seen == {"onnx", "torchserve"}


async def test_a_mounted_configmap_is_followed(tmp_path: Path, follow: Follow) -> None:
    """Kubernetes swaps the symbolic link ``..data`` to a new folder; the file links into it."""
    for name, text in (("..1", ONNX), ("..2", TORCHSERVE)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "routing.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("..1")
    path = tmp_path / "routing.yaml"
    path.symlink_to("..data/routing.yaml")
    file = await follow(path)
    assert default(file) == "onnx"
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    await until(lambda: default(file) == "torchserve")


async def test_a_broken_edit_is_refused_once_and_the_old_policy_stays(
    path: Path, follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway")
    write(path, ONNX)
    file = await follow(path)
    digest = file.digest
    replace(path, "models: {m: {default: jax}}")
    await until(lambda: file.error is not None)
    assert str(path) in str(file.error)
    assert "no backend 'jax'" in str(file.error)
    os.utime(path)
    await asyncio.sleep(10 * INTERVAL_S)
    assert (default(file), file.digest) == ("onnx", digest)
    replace(path, ONNX)
    await until(lambda: file.error is None)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "routing policy in force",
        "routing policy refused",
        "routing policy in force",
    ]


@pytest.mark.parametrize("content", [b"models: \xff", b"#" * 300_000])
def test_bytes_that_are_no_policy_are_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    file = open_file(path)
    file.load()
    assert file.error is not None


def test_a_folder_is_no_policy(path: Path) -> None:
    path.mkdir()
    file = open_file(path)
    file.load()
    assert "Is a directory" in str(file.error)


async def test_a_listener_that_fails_does_not_end_the_following(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Policy] = []

    def listen(policy: Policy) -> None:
        heard.append(policy)
        if len(heard) == 1:
            raise RuntimeError("not ready for it")

    file = open_file(path, listen)
    task = asyncio.create_task(file.follow(INTERVAL_S))
    write(path, ONNX)
    await until(lambda: len(heard) == 1)
    replace(path, TORCHSERVE)
    await until(lambda: len(heard) == 2)
    assert heard[1].of("m").default == Route("torchserve")
    assert "could not be taken over" in caplog.text
    task.cancel()


def test_the_file_is_found_by_the_settings(tmp_path: Path) -> None:
    assert policy_path(Settings(routing_policy="x/y.yaml")) == Path("x/y.yaml")
    assert policy_path(Settings(repository="models")) == Path("models/routing.yaml")
    assert policy_path(Settings(repository="models/a.onnx")) == Path("models/routing.yaml")
