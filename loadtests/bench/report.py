"""What the benchmark finds, as data; :mod:`loadtests.bench.show` prints it."""

from __future__ import annotations

from typing import Literal

import msgspec

from loadtests.bench.samples import Sample
from serving.spread import Spread


class Target(msgspec.Struct, frozen=True):
    """What a figure should be: ``≥ 5 ×``, ``≤ 0.5 ms``."""

    relation: Literal["≥", "≤"]
    value: float
    unit: str = "×"

    def met(self, figure: float) -> bool:
        """Whether the figure keeps to it."""
        return figure >= self.value if self.relation == "≥" else figure <= self.value

    def __str__(self) -> str:
        return f"{self.relation} {self.value:g} {self.unit}"


class Entry(msgspec.Struct, kw_only=True):
    """One contestant under one workload, a sample per round.

    ``disturbed_percent`` is the largest share of the servers' core that anything else on the
    machine took during a sample.
    """

    scenario: str
    contestant: str
    workload: str
    samples: list[Sample]
    stand_in: bool = False
    note: str = ""
    disturbed_percent: float = 0.0

    @property
    def requests_per_s(self) -> list[float]:
        """By round."""
        return [sample.requests_per_s for sample in self.samples]

    @property
    def rows_per_s(self) -> list[float]:
        """By round."""
        return [sample.rows_per_s for sample in self.samples]

    @property
    def p50_ms(self) -> list[float]:
        """By round."""
        return [sample.p50_ms for sample in self.samples]

    @property
    def p99_ms(self) -> list[float]:
        """By round."""
        return [sample.p99_ms for sample in self.samples]

    @property
    def cpu_ms(self) -> list[float]:
        """By round, where it was measured."""
        return [sample.cpu_ms for sample in self.samples if sample.cpu_ms is not None]

    @property
    def errors(self) -> int:
        """Over all rounds."""
        return sum(sample.errors for sample in self.samples)


class Absence(msgspec.Struct, frozen=True):
    """A contestant that was not measured, and why."""

    scenario: str
    contestant: str
    reason: str


class Finding(msgspec.Struct, kw_only=True):
    """A row of the table of targets.

    ``figure`` is what the target is about: ours ÷ theirs, ours − theirs or ours alone. It and
    ``met`` are None where something needed was not measured; ``remark`` then says so. ``errors``
    are our own: nothing is met with any. Without a ``target`` it is told for information.
    """

    scenario: str
    what: str
    target: Target | None
    figure: Spread | None
    unit: str = ""
    ours: Spread | None = None
    theirs: Spread | None = None
    opponent: str = ""
    errors: int = 0
    remark: str = ""
    met: bool | None = None

    def __post_init__(self) -> None:
        if self.figure is not None and self.target is not None:
            self.met = self.errors == 0 and self.target.met(self.figure.median)


class Report(msgspec.Struct, kw_only=True):
    """Everything that one run has found."""

    machine: dict[str, str]
    settings: dict[str, str]
    findings: list[Finding] = []
    entries: list[Entry] = []
    absences: list[Absence] = []
