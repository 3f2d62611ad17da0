"""Waiting for something that happens on the event loop in its own time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


async def until(met: Callable[[], object], within_s: float = 20.0) -> None:
    """Return once ``met`` is true; fails after so many seconds, which a busy machine may need."""
    deadline = time.monotonic() + within_s
    while not met():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)
