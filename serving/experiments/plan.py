"""How thoroughly an experiment measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: Called with what comes next, in words.
Step = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Each of ``batches`` rows a call, in ``rounds`` rounds of ``slice_s`` seconds each.

    ``threads`` is what each engine or session may use; rows and weights are drawn from ``seed``.
    """

    batches: Sequence[int]
    threads: int = 1
    rounds: int = 15
    slice_s: float = 0.1
    seed: int = 1

    @property
    def conditions(self) -> dict[str, str]:
        """The plan in words, for the findings."""
        return {
            "threads": str(self.threads),
            "rounds": f"{self.rounds} alternated, {self.slice_s:g} s each for every contestant",
        }
