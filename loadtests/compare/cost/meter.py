"""CPU time the servers spend on predictions, and what that costs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtests.compare.cost.processes import Family
from loadtests.compare.errors import CompareError
from loadtests.compare.results import Figure, Usage, figure_id
from loadtests.compare.statistics import amounts_interval

_UNIT = "s / 1,000"


@dataclass(frozen=True, slots=True)
class Spent:
    """What one round took: CPU seconds by server, None where they could not be read."""

    predictions: int
    cpu_s: Mapping[str, float | None]

    def per_1000(self, server: str) -> float | None:
        """CPU seconds of one server for 1,000 predictions; None where they are not known."""
        seconds = self.cpu_s[server]
        if seconds is None or self.predictions <= 0:
            return None
        return 1000 * seconds / self.predictions

    @property
    def total(self) -> float | None:
        """The same of all servers together; None where that of one is not known."""
        each = [self.per_1000(server) for server in self.cpu_s]
        known = [value for value in each if value is not None]
        return sum(known) if known and len(known) == len(each) else None


class Meter:
    """Reads what the servers that take part in a prediction have used so far.

    ``families`` by the server's name; None for one that is no process of this machine::

        before = meter.read()
        …  # the load
        spent = meter.spent(before, predictions)
    """

    def __init__(self, families: Mapping[str, Family | None]) -> None:
        self._families = dict(families)

    def read(self) -> dict[str, float | None]:
        """CPU seconds by server since each began; None where they cannot be read."""
        return {name: _cpu_s(family) for name, family in self._families.items()}

    def spent(self, before: Mapping[str, float | None], predictions: int) -> Spent:
        """What was used since the reading ``before``, on this many predictions."""
        used = {name: _difference(before[name], after) for name, after in self.read().items()}
        return Spent(predictions, used)


def usage(
    subject: str,
    rounds: Sequence[Spent],
    stand_in: str | None = None,
    price: float | None = None,
) -> Usage:
    """What 1,000 predictions of ``subject`` take: the median of the rounds, their mean's interval.

    Rounds in which a server could not be read, or nothing was answered, are left out. ``price`` is
    that of one core for an hour, in the user's currency.
    """
    totals = [total for spent in rounds if (total := spent.total) is not None]
    servers = {name: None for spent in rounds for name in spent.cpu_s}
    low, high = amounts_interval(totals)
    cpu = Figure(
        id=figure_id("cost", subject, "cpu_per_1000"),
        what=f"CPU time of 1,000 predictions, {subject}",
        value=statistics.median(totals) if totals else None,
        unit=_UNIT,
        low=low,
        high=high,
        stand_in=stand_in,
        remark="" if totals else _why_not(rounds),
    )
    by_server = {}
    for name in servers:
        known = [value for spent in rounds if (value := spent.per_1000(name)) is not None]
        if known:
            by_server[name] = statistics.median(known)
    return Usage(
        subject=subject,
        cpu=cpu,
        by_server=by_server,
        price=None if price is None else _price(subject, cpu, price),
    )


def _price(subject: str, cpu: Figure, price: float) -> Figure:
    def of_million(seconds: float | None) -> float | None:
        return None if seconds is None else seconds * 1000 / 3600 * price

    return Figure(
        id=figure_id("cost", subject, "price_per_million"),
        what=f"estimated price of a million predictions, {subject}",
        value=of_million(cpu.value),
        unit="per million",
        low=of_million(cpu.low),
        high=of_million(cpu.high),
        stand_in=cpu.stand_in,
        remark=cpu.remark or f"busy cores only, at {price:g} for a core-hour",
    )


def _why_not(rounds: Sequence[Spent]) -> str:
    unread = sorted({name for spent in rounds for name, cpu in spent.cpu_s.items() if cpu is None})
    if unread:
        return f"could not be read as a process of this machine: {', '.join(unread)}"
    return "nothing was answered" if rounds else "not measured"


def _cpu_s(family: Family | None) -> float | None:
    try:
        return None if family is None else family.cpu_s()
    except CompareError:
        return None


def _difference(before: float | None, after: float | None) -> float | None:
    # Less than before: somebody ended and took its time along.
    if before is None or after is None or after < before:
        return None
    return after - before
