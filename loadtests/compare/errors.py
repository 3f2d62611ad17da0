"""What stops a comparison."""

from __future__ import annotations


class CompareError(Exception):
    """Said to the user in one line."""
