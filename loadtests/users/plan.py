"""How many users there shall be, as numbers."""

from __future__ import annotations

from argparse import Namespace
from typing import Self

import msgspec


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line, or Locust's web page, asks for.

    ``users`` is the most there are at a time, ``seconds`` how long it takes, 0 where nothing was
    said; ``spawn_rate`` are users per second. The others belong to one shape each: see the help of
    the arguments of their names.
    """

    shape: str = "steady"
    users: int = 1
    seconds: float = 0
    spawn_rate: float = 1
    ramp_steps: int = 10
    spike_base_users: int = 0
    spike_at_seconds: float = 0
    spike_seconds: float = 0
    soak_share: float = 0.5

    @classmethod
    def of(cls, options: Namespace) -> Self:
        """The plan in Locust's parsed options, which its web page changes."""
        return cls(
            shape=options.shape,
            users=options.num_users or 1,
            seconds=options.run_time or 0,
            spawn_rate=options.spawn_rate or 1,
            ramp_steps=options.ramp_steps,
            spike_base_users=options.spike_base_users,
            spike_at_seconds=options.spike_at_seconds,
            spike_seconds=options.spike_seconds,
            soak_share=options.soak_share,
        )
