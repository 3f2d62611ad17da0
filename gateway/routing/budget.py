"""How many requests may be tried again, so that retries never multiply a failing target's load.

A share of the traffic and a small rate besides, as Finagle's ``RetryBudget`` has it (20 % and
10 a second over 10 seconds; https://finagle.github.io/blog/2016/02/08/retry-budgets/). Envoy's
``retry_budget`` bounds concurrent retries by the same default share
(https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/circuit_breaker.proto).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class RetryBudget:
    """Allows ``ratio`` retries per request and ``min_per_s`` retries a second on top.

    Both are counted over a sliding window: what lies ``t`` seconds back weighs
    ``exp(-t / window_s)``. Over any ``T`` seconds from the start no more than
    ``ratio * requests + min_per_s * (T + window_s)`` retries are allowed. ``clock`` gives seconds
    that never go back.
    """

    def __init__(
        self,
        ratio: float = 0.2,
        min_per_s: float = 10.0,
        window_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ratio = ratio
        self._reserve = min_per_s * window_s
        self._window_s = window_s
        self._clock = clock
        self._now = clock()
        self._requests = 0.0
        self._retries = 0.0
        #: Requests since the window was last moved.
        self._new_requests = 0

    def request(self) -> None:
        """A request is sent for the first time."""
        self._new_requests += 1

    def allow(self) -> bool:
        """Whether a request may be tried again now; a True is counted as a retry made."""
        self._move()
        if self._retries + 1 > self._ratio * self._requests + self._reserve:
            return False
        self._retries += 1
        return True

    def _move(self) -> None:
        """Bring the window up to now.

        Requests are not timed one by one, which their way through the gateway would pay for: those
        since the last move count as if they had come evenly.
        """
        now = self._clock()
        passed = (now - self._now) / self._window_s
        self._now = now
        weight = math.exp(-passed)
        mean_weight = (1 - weight) / passed if passed > 0 else 1.0
        self._requests = self._requests * weight + self._new_requests * mean_weight
        self._retries *= weight
        self._new_requests = 0
