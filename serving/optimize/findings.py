"""What was found out about a graph's forms, as data."""

from __future__ import annotations

import msgspec

from serving.spread import Spread


class Timing(msgspec.Struct, frozen=True):
    """A call with ``batch`` rows in µs, over the rounds; ``ratio`` is its time ÷ the original's."""

    batch: int
    call_us: Spread
    ratio: Spread


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """One form of a graph, loaded as the gateway loads it.

    ``size`` is the file's in bytes, with the parameters it keeps elsewhere; ``load_ms`` the time
    to make a session. ``difference`` is the largest absolute difference from the original,
    infinite, which is null in JSON, where something that is no number differs; ``within`` counts
    the rows whose outputs are all within the tolerance. Where the form cannot be had, ``reason``
    says why and all else is empty.
    """

    name: str
    reason: str = ""
    nodes: int = 0
    size: int = 0
    load_ms: Spread | None = None
    calls: list[Timing] = []
    difference: float | None = None
    within: int = 0


class Optimized(msgspec.Struct, frozen=True, kw_only=True):
    """A graph in all its forms, the original first, compared on ``rows`` rows."""

    graph: str
    rows: int
    rows_from: str
    tolerance: float
    forms: list[Form]
    conditions: dict[str, str]

    def exceeds(self, form: Form) -> bool:
        """Whether a form's answers differ from the original's by more than the tolerance."""
        return form.difference is not None and not form.difference <= self.tolerance
