"""How fast the subjects are: the same loads on each in turn, round after round."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from loadtests.compare.cost.meter import Meter, Spent
from loadtests.compare.load.load import drive
from loadtests.compare.load.plan import Outcome, Plan
from loadtests.compare.load.points import point, to_round
from loadtests.compare.options import SHARES, Options
from loadtests.compare.progress import Watcher
from loadtests.compare.results import Point, Round, Shape, Subject

#: Seconds of load before each measurement, which do not count; and before the first of a subject.
_WARMUP_S, _FIRST_S = 0.2, 1.0
#: Seconds after which a client gives up. More than a server's own limit, which is an answer.
_GIVE_UP_S = 10.0
#: The open loop may need more connections than a closed one, as many as it takes.
_OPEN_CONNECTIONS = 256
#: Beyond this part of what a subject can do an open loop only shows its queue.
_BEARABLE = 0.85

Drive = Callable[[Plan], Awaitable[Outcome]]


@dataclass(frozen=True)
class Load:
    """One kind of load; ``rate`` in requests per second makes it an open loop."""

    shape: Shape
    connections: int
    rows: int = 1
    rate: float | None = None


@dataclass
class Runner:
    """A subject with what is sent for it, by the rows of a body: whole HTTP requests."""

    subject: Subject
    url: str
    requests: Mapping[int, list[bytes]]
    meter: Meter
    spent: list[Spent] = field(default_factory=list)
    rounds: dict[Load, list[Round]] = field(default_factory=dict)
    latencies: dict[Load, list[NDArray[np.float64]]] = field(default_factory=dict)

    def capacity(self) -> float:
        """The most requests per second it answered in a closed loop, the median of the rounds."""
        return max(
            statistics.median(one.requests_per_s for one in rounds)
            for load, rounds in self.rounds.items()
            if load.shape == "closed"
        )


class Speed:
    """Measures; ``core`` is the load generator's, None for any."""

    def __init__(self, runners: Sequence[Runner], options: Options, core: int | None) -> None:
        self._runners = runners
        self._options = options
        self._core = core
        self._closed = [Load("closed", clients) for clients in options.clients]
        self._batch = [Load("batch", 1, rows) for rows in options.batches]
        #: What a prediction costs is read under the load of the most clients.
        self._metered = max(self._closed, key=lambda load: load.connections)

    async def measure(self, watcher: Watcher) -> None:
        """All loads on all subjects; what was found is in the runners."""
        loads = self._closed + self._batch
        rounds = self._options.rounds
        watcher.phase("speed: closed loop and batches", rounds * len(loads) * len(self._runners))
        for runner in self._runners:
            await self._drive(runner, self._metered, _FIRST_S, 0.0, 0)
        plan = {runner.subject.name: loads for runner in self._runners}
        await self._rounds(plan, watcher)
        rates = self.rates()
        watcher.phase("speed: open loop", rounds * sum(map(len, rates.values())))
        await self._rounds(rates, watcher)

    def rates(self) -> dict[str, list[Load]]:
        """The open loops of each subject, by its name."""
        capacities = {runner.subject.name: runner.capacity() for runner in self._runners}
        given = self._options.rates
        if given is None:
            slowest = min(capacities.values())
            fastest = max(capacities.values())
            given = tuple(share * slowest for share in SHARES)
            # Where the slow ones end, the fast ones are asked for more, to see where they do.
            given += tuple(share * fastest for share in SHARES if share * fastest > slowest)
        rates = [rounded for rate in given if (rounded := _round(rate)) > 0]
        return {
            name: [
                Load("open", _OPEN_CONNECTIONS, rate=rate)
                for rate in dict.fromkeys(rates)
                if self._options.rates is not None or rate <= _BEARABLE * capacity
            ]
            for name, capacity in capacities.items()
        }

    async def _rounds(self, loads: Mapping[str, Sequence[Load]], watcher: Watcher) -> None:
        """Load after load, each on one subject after the other, in another order each round."""
        every = list(dict.fromkeys(load for some in loads.values() for load in some))
        for number in range(self._options.rounds):
            for load in every:
                for runner in _turned(self._runners, number):
                    if load not in loads[runner.subject.name]:
                        continue
                    await self._measure(runner, load, number)
                    watcher.advance()

    async def _measure(self, runner: Runner, load: Load, number: int) -> None:
        metered = load == self._metered
        # Predictions of a warm-up would be paid for, and not counted.
        warmup = 0.0 if metered else _WARMUP_S
        before = runner.meter.read() if metered else None
        outcome = await self._drive(runner, load, self._options.seconds, warmup, number)
        if before is not None:
            answered = len(outcome.latencies_ms)
            runner.spent.append(runner.meter.spent(before, answered * load.rows))
        runner.rounds.setdefault(load, []).append(to_round(outcome))
        runner.latencies.setdefault(load, []).append(outcome.latencies_ms)

    async def _drive(
        self, runner: Runner, load: Load, seconds: float, warmup: float, number: int
    ) -> Outcome:
        where = urlsplit(runner.url)
        plan = Plan(
            requests=runner.requests[load.rows],
            host=where.hostname or "",
            port=where.port or 80,
            connections=load.connections,
            rate=load.rate,
            seconds=seconds,
            warmup_s=warmup,
            give_up_s=_GIVE_UP_S,
            seed=self._options.seed + number,
        )
        return await drive(plan, self._core)

    def points(self) -> list[Point]:
        """What was found, load by load."""
        loads = dict.fromkeys(load for runner in self._runners for load in runner.rounds)
        return [
            point(
                runner.subject.name,
                runner.subject.stand_in,
                load.shape,
                load.connections,
                load.rate,
                load.rows,
                runner.rounds[load],
                runner.latencies[load],
            )
            for load in loads
            for runner in self._runners
            if load in runner.rounds
        ]


def _turned(runners: Sequence[Runner], number: int) -> list[Runner]:
    """The runners in an order of this round's own: nobody is always first, or after the same.

    Forwards and backwards from each of them in turn: of two, AB BA BA AB.
    """
    start = number // 2 % len(runners)
    turned = [*runners[start:], *runners[:start]]
    return turned if number % 2 == 0 else turned[::-1]


def _round(rate: float) -> float:
    """To two significant digits."""
    return float(f"{rate:.2g}")
