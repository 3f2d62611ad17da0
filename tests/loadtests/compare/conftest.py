"""A gateway whose servers are not there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serving.launch.ports import free_port
from tests.conftest import REPOSITORY
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
