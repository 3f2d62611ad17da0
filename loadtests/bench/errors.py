"""The one error of the benchmark."""

from __future__ import annotations


class BenchError(Exception):
    """What cannot be measured, and why."""
