"""Stops asking a target that keeps failing, and finds out by itself when to ask again.

The circuit breaker of M. Nygard, *Release It!* (2nd ed., section 5.3), with one change: the first
call after a pause is a probe of the gateway's own, never a user's request. A user's request would
be the one to pay where the target is still down, and none would come at all where ``auto`` has
moved the traffic elsewhere.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum

from gateway.errors import GatewayError
from gateway.logs import logger

#: The least that clients are told to wait while the breaker lets nothing through, in seconds.
MIN_RETRY_AFTER_S = 0.1
#: Each pause is longer or shorter by up to this share, so that replicas do not probe in step.
JITTER = 0.2


class BreakerState(StrEnum):
    """``closed`` lets calls through; ``open`` waits to probe; ``half-open`` is probing."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


#: Reading a member off its class takes longer than the rest of :meth:`Breaker.allow`.
_CLOSED = BreakerState.CLOSED


class Breaker:
    """The breaker of one target.

    ``failures_to_open`` failures in a row open it. After a pause of about ``open_s`` seconds
    ``probe`` is awaited in a task of the breaker's own: True closes it; False, an exception or
    ``probe_timeout_s`` seconds without an answer open it again, each time for twice as long, up to
    ``max_open_s``. ``on_change`` is told of each new state. ``clock`` gives seconds that never go
    back, ``sleep`` waits for as many of them.

    All methods are to be called in the event loop's thread, :meth:`failed` while the loop runs.
    """

    def __init__(
        self,
        probe: Callable[[], Awaitable[bool]],
        *,
        failures_to_open: int = 5,
        open_s: float = 1.0,
        max_open_s: float = 30.0,
        probe_timeout_s: float = 5.0,
        on_change: Callable[[BreakerState], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._probe = probe
        self._failures_to_open = failures_to_open
        self._open_s = open_s
        self._max_open_s = max_open_s
        self._probe_timeout_s = probe_timeout_s
        self._on_change = on_change
        self._clock = clock
        self._sleep = sleep
        self._state = BreakerState.CLOSED
        self._failures = 0
        self._closed_at = float("-inf")
        self._probe_at = 0.0
        self._recovery: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def state(self) -> BreakerState:
        """What the breaker does now."""
        return self._state

    @property
    def retry_after_s(self) -> float:
        """Seconds until the next probe: 0 while closed, else at least ``MIN_RETRY_AFTER_S``."""
        if self._state is _CLOSED:
            return 0.0
        return max(self._probe_at - self._clock(), MIN_RETRY_AFTER_S)

    def allow(self) -> bool:
        """Whether a call may go to the target."""
        return self._state is _CLOSED

    def succeeded(self) -> None:
        """A call was answered: the failures before it no longer count."""
        # Nothing is counted unless it is closed, so a late answer changes nothing.
        if self._failures:
            self._failures = 0

    def failed(self, sent_at: float | None = None) -> None:
        """A call failed; ``sent_at`` is when it was sent, on ``clock``, where that is known.

        Calls may outlast a whole pause: one that was sent before the breaker last closed says
        nothing of the target as it is now, and does not count. None counts always.
        """
        if self._state is not _CLOSED or self._ended:
            return
        if sent_at is not None and sent_at < self._closed_at:
            return
        self._failures += 1
        if self._failures >= self._failures_to_open:
            self._failures = 0
            wait_s = self._open(self._open_s)
            self._recovery = asyncio.get_running_loop().create_task(self._recover(wait_s))

    async def close(self) -> None:
        """Stop probing for good; the state stays as it is."""
        self._ended = True
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.gather(self._recovery, return_exceptions=True)

    async def _recover(self, wait_s: float) -> None:
        """Wait and probe, until a probe succeeds."""
        pause_s = self._open_s
        while True:
            await self._sleep(wait_s)
            self._change(BreakerState.HALF_OPEN)
            if await self._probe_succeeds():
                break
            pause_s = min(pause_s * 2, self._max_open_s)
            wait_s = self._open(pause_s)
        self._closed_at = self._clock()
        self._change(BreakerState.CLOSED)

    async def _probe_succeeds(self) -> bool:
        try:
            async with asyncio.timeout(self._probe_timeout_s):
                return await self._probe()
        except (GatewayError, TimeoutError):
            return False
        except Exception:
            logger.exception("a breaker's probe raised what no backend should")
            return False

    def _open(self, pause_s: float) -> float:
        """Open for about ``pause_s``; returns for how long exactly, in seconds."""
        wait_s = pause_s * random.uniform(1 - JITTER, 1 + JITTER)
        self._probe_at = self._clock() + wait_s
        self._change(BreakerState.OPEN)
        return wait_s

    def _change(self, state: BreakerState) -> None:
        self._state = state
        if self._on_change is None:
            return
        try:
            self._on_change(state)
        except Exception:
            # It runs in the task that closes the breaker: who only listens must not end that.
            logger.exception("a breaker's listener failed")
