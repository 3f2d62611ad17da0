"""TorchServe runs on Java, which a machine may lack; CI must not."""

from __future__ import annotations

import os
import shutil

import pytest


def require_java() -> None:
    """Skip where there is no Java; on CI that is a failure."""
    if shutil.which("java") is None:
        message = "TorchServe needs Java, and there is none on the PATH"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
