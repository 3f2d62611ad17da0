"""The stack on a Swarm: a rolling update to a new version of the model and back loses nothing."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.launch.ports import free_port
from tests.compose.composition import Composition, kill, readable, wait_for
from tests.compose.load import Load
from tests.compose.stack import FRONT, REPLICAS, Stack, run, swarm
from tests.conftest import REPOSITORY, TALK

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

#: Seconds in which three replicas are replaced, one after the other.
UPDATED_S = 180


@pytest.fixture(scope="module")
def stack(built: Composition) -> Iterator[Stack]:
    """A Swarm on which nothing is deployed yet; none is left."""
    run("build", "--network", "host", "--tag", FRONT, "compose/front")
    with swarm():
        stack = Stack(f"gateway-stack-{os.getpid()}", free_port())
        try:
            yield stack
        finally:
            stack.remove()


@pytest.fixture
def repositories(tmp_path: Path) -> tuple[Path, Path]:
    """The example's models, and the same with a version 2 of it."""
    old, new = tmp_path / "old", tmp_path / "new"
    for repository in (old, new):
        shutil.copytree(REPOSITORY, repository)
    model = new / "weight-change"
    shutil.copytree(model / "1", model / "2")
    readable(tmp_path)
    return old, new


def update(stack: Stack, load: Load, repository: Path, version: str) -> None:
    """Deploy another repository under load, and see it answer everywhere."""
    started = time.monotonic()
    stack.deploy(repository)
    wait_for(lambda: stack.update == "updating", 30)
    wait_for(lambda: stack.update != "updating", UPDATED_S)
    assert stack.update == "completed"
    seconds = time.monotonic() - started
    wait_for(
        lambda: set(load.versions[-100:]) == {version}, 30
    )  # the last of the old ones drains for a while
    print(f"version {version} after {seconds:.0f} s", Counter(load.versions))


def replace_a_killed_one(stack: Stack, load: Load) -> None:
    """SIGKILL to a replica under load; returns when there are as many as before."""
    victim = stack.replicas()[0]
    kill(victim)
    wait_for(lambda: victim.id not in {one.id for one in stack.replicas()}, 30)
    wait_for(lambda: stack.running == REPLICAS, 60)
    load.go_on(100)


def test_a_killed_replica_a_rolling_update_and_the_way_back_lose_nothing(
    stack: Stack, repositories: tuple[Path, Path]
) -> None:
    old, new = repositories
    stack.deploy(old)
    wait_for(lambda: stack.running == REPLICAS and stack.version() == "1", 120)
    # The front finds a replica a second after it is healthy; before, one is all that it has.
    wait_for(stack.each_has_answered, 30)
    with Load(stack.url, "onnx", TALK, clients=8) as load:
        wait_for(lambda: load.outcomes["200"] > 100, 30)
        assert set(load.versions) == {"1"}
        replace_a_killed_one(stack, load)
        update(stack, load, new, "2")
        update(stack, load, old, "1")
    print(dict(load.outcomes), f"slowest {load.longest * 1e3:.0f} ms")
    assert set(load.outcomes) == {"200"}
    assert load.outcomes["200"] > 1_000
