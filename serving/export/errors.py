"""What an export can fail with; needs no framework."""

from __future__ import annotations


class ParityError(Exception):
    """An exported file answers something else than its original; says which and by how much."""
