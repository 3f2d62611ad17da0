"""How this process deals with memory: the garbage collector's, and the C library's."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

#: glibc's name for what :func:`return_large_blocks` sets; malloc.h.
_M_MMAP_THRESHOLD = -3
#: Bytes from which an allocation, such as a model's weights, gets pages of its own.
_OWN_PAGES = 4 * 1024 * 1024


def return_large_blocks() -> None:
    """Have large blocks go back to the system when they are freed; to be called before any model.

    glibc would raise by itself, up to 32 MB, the size from which they do, and then keep the weights
    of versions that are gone.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES)


def spare_collector() -> None:
    """Spare the garbage collector what lives as long as the process, and run it less often.

    Requests make hardly any reference cycles; by default it would look for some every few requests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


def give_back() -> None:
    """Hand freed memory back to the system, where the C library would keep it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
