"""A gateway whose servers are not there, and load from a process that is there already."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor

import pytest

from loadtests.compare import speed
from serving.launch.ports import free_port
from tests.conftest import REPOSITORY
from tests.loadtests.compare.comparing import WarmDriver
from tests.processes import Gateway


@pytest.fixture(scope="session")
def lonely_gateway() -> Iterator[str]:
    """The address of a gateway that serves the project's own repository; only ONNX Runtime answers.

    Nothing listens where it looks for TorchServe and TensorFlow Serving.
    """
    absent = f"http://127.0.0.1:{free_port()}"
    settings = {
        "GATEWAY_TORCHSERVE_URL": absent,
        "GATEWAY_TORCHSERVE_MANAGEMENT_URL": absent,
        "GATEWAY_TFSERVING_URL": absent,
    }
    with Gateway(REPOSITORY, **settings) as gateway:
        yield gateway.url


@pytest.fixture(scope="module")
def driving() -> Iterator[Executor]:
    """One process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as driver:
        yield driver


@pytest.fixture
def warm_driver(driving: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    """All load comes from one process, whose start would take longer than what is measured here.

    So it is warm from the first plan on, and a moment is enough for the servers to become it. That
    each plan has a process of its own is shown by a whole comparison in ``test_cli.py``.
    """
    monkeypatch.setattr(speed, "drive", WarmDriver(driving).drive)
    monkeypatch.setattr(speed, "_FIRST_S", 0.2)
    monkeypatch.setattr(speed, "_WARMUP_S", 0.05)
