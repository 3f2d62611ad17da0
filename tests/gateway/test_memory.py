"""Memory that models leave behind goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Frees 8 MB that lie below 8 MB still in use, after glibc has learnt that such blocks come and go.
PROGRAM = """
import sys
import numpy as np
import psutil
from gateway import memory

if sys.argv[1] == "returned":
    memory.return_large_blocks()
for _ in range(3):
    np.ones(8_000_000 // 8)
below, above = np.ones(1_000_000), np.ones(1_000_000)
before = psutil.Process().memory_info().rss
del below
print(before - psutil.Process().memory_info().rss)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is meant")
def test_large_blocks_are_returned_when_freed() -> None:
    freed = {
        how: int(
            subprocess.run(
                [sys.executable, "-c", PROGRAM, how], capture_output=True, check=True
            ).stdout
        )
        for how in ("kept", "returned")
    }
    assert freed["returned"] > 7_000_000
    assert freed["kept"] < 1_000_000, "the C library returns them by itself: is this still needed?"
