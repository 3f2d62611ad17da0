"""What stops an experiment."""

from __future__ import annotations


class ExperimentError(Exception):
    """Said to the user in one line."""


class NotMeasured(Exception):
    """One contestant cannot take part; the message says why, and the others go on."""
