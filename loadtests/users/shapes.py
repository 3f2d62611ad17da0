"""How the number of users changes over a run.

:class:`ShapeOption` follows ``--shape`` and is what Locust takes unless its class picker is on;
with ``--class-picker`` each shape stands in the web page's list by its own name. All of them read
``--users``, ``--spawn-rate`` and ``--run-time``, and end by themselves.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from locust import LoadTestShape

from loadtests.users.plan import Plan

#: Locust asks about once a second; a moment before the end is the end, not a second more.
_EARLY_S = 0.1


class PlannedShape(LoadTestShape):
    """A shape that follows a :class:`Plan`.

    ``seconds`` is how long it takes where nothing else was said, None for as long as one lets it.
    """

    abstract = True
    use_common_options = True
    words: ClassVar[str]
    seconds: ClassVar[float | None]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def tick(self) -> tuple[int, float] | None:
        """Users now, and how many may come or go in a second; None at the end."""
        assert self.runner is not None
        options = self.runner.environment.parsed_options
        assert options is not None
        at_s: float = self.get_run_time()  # type: ignore[no-untyped-call]
        return self.at(at_s, Plan.of(options))

    def at(self, at_s: float, plan: Plan) -> tuple[int, float] | None:
        """The same, ``at_s`` seconds after the start."""
        seconds = plan.seconds or self.seconds
        if seconds is not None and at_s >= seconds - _EARLY_S:
            return None
        users = max(1, min(self.users(at_s, seconds or 0, plan), plan.users))
        # All within the second, those that leave, too: Locust takes no further tick until then.
        return users, float(max(plan.users, 1))

    @abstractmethod
    def users(self, at_s: float, seconds: float, plan: Plan) -> int:
        """Users ``at_s`` seconds after the start of a run of ``seconds``, 0 for one without end.

        What is less than one or more than ``plan.users`` is bounded by the caller.
        """


class Steady(PlannedShape):
    """``--users`` all the time, coming at ``--spawn-rate``."""

    words = "--users all the time"
    seconds = None

    def users(self, at_s: float, seconds: float, plan: Plan) -> int:
        return int(plan.spawn_rate * (int(at_s) + 1))


class Ramp(PlannedShape):
    """Up to ``--users`` in equal steps over the whole time."""

    words = "up to --users in --ramp-steps equal steps, 2 minutes unless --run-time says otherwise"
    seconds = 120

    def users(self, at_s: float, seconds: float, plan: Plan) -> int:
        steps = max(plan.ramp_steps, 1)
        step = min(int(at_s / seconds * steps) + 1, steps)
        return round(plan.users * step / steps)


class Spike(PlannedShape):
    """Few users, suddenly all, and few again."""

    words = "few users, suddenly all --users, and few again, 2 minutes unless --run-time says so"
    seconds = 120

    def users(self, at_s: float, seconds: float, plan: Plan) -> int:
        begin = plan.spike_at_seconds or seconds / 3
        length = plan.spike_seconds or seconds / 3
        if begin <= at_s < begin + length:
            return plan.users
        return plan.spike_base_users or plan.users // 10


class Soak(PlannedShape):
    """A moderate load for long: what leaks or fills up shows."""

    words = "--soak-share of --users for long, an hour unless --run-time says otherwise"
    seconds = 3600

    def users(self, at_s: float, seconds: float, plan: Plan) -> int:
        return min(int(plan.spawn_rate * (int(at_s) + 1)), round(plan.users * plan.soak_share))


#: The shapes by what ``--shape`` calls them.
SHAPES: dict[str, type[PlannedShape]] = {
    "steady": Steady,
    "ramp": Ramp,
    "spike": Spike,
    "soak": Soak,
}


class ShapeOption(PlannedShape):
    """The shape that ``--shape`` names."""

    words = "what --shape says"
    seconds = None

    def at(self, at_s: float, plan: Plan) -> tuple[int, float] | None:
        return SHAPES[plan.shape]().at(at_s, plan)

    def users(self, at_s: float, seconds: float, plan: Plan) -> int:
        return SHAPES[plan.shape]().users(at_s, seconds, plan)
