"""The images, built once, and the whole composition with the stand-in for TensorFlow Serving."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from serving.launch.ports import free_port
from tests.compose.composition import Composition

#: Seconds for the three images, with everything downloaded.
BUILD_S = 1500
#: Seconds in which everything must be healthy, once it is built.
HEALTHY_S = 180


@pytest.fixture(scope="session")
def built() -> Composition:
    """A composition whose images are there, and of which nothing runs."""
    variables = {"PORT": str(free_port())}
    composition = Composition(f"gateway-test-{os.getpid()}", variables=variables)
    composition.run("build", within=BUILD_S)
    return composition


@pytest.fixture(scope="session")
def composition(built: Composition) -> Iterator[Composition]:
    """Everything up and healthy; taking it down must leave nothing behind."""
    try:
        started = time.monotonic()
        built.run("up", "--detach", "--wait", "--no-build", within=HEALTHY_S)
        print(f"healthy after {time.monotonic() - started:.0f} s")
        yield built
    finally:
        built.run("down", "--volumes", "--timeout", "30")
    assert built.leftovers() == []
