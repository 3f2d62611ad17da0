"""When work that nobody waits for may go on: rests to leave room, and pauses after failures."""

from __future__ import annotations

import asyncio
import time


class Pace:
    """Keeps such work to a share of the time, and away from what keeps failing.

    ``busy`` is the share, above 0, at most 1. After ``failures`` failed calls in a row there is a
    pause of ``pause_s`` seconds, doubled with each failure that follows one, to ``max_pause_s``.
    """

    def __init__(self, busy: float, failures: int, pause_s: float, max_pause_s: float) -> None:
        self._rest_factor = 1 / busy - 1
        self._allowed_failures = failures
        self._first_pause_s = pause_s
        self._max_pause_s = max_pause_s
        self._failures = 0
        self._pause_s = 0.0
        #: :func:`time.monotonic` times.
        self._rest_until = 0.0
        self._paused_until = 0.0

    @property
    def paused(self) -> bool:
        """Whether it pauses now for failures."""
        return self._pause_s > 0 and time.monotonic() < self._paused_until

    async def wait(self) -> None:
        """Return once neither a rest nor a pause is left."""
        while True:
            seconds = max(self._rest_until, self._paused_until) - time.monotonic()
            if seconds <= 0:
                return
            await asyncio.sleep(seconds)

    def charge(self, seconds: float) -> None:
        """Work took so long; rest until that is no more than the share of the time."""
        since = max(self._rest_until, time.monotonic())
        self._rest_until = since + seconds * self._rest_factor

    def succeeded(self) -> None:
        """A call was answered."""
        self._failures = 0
        self._pause_s = self._paused_until = 0.0

    def failed(self) -> None:
        """A call failed."""
        self._failures += 1
        # Calls that were in flight when a pause began do not make it longer.
        if self._failures >= self._allowed_failures and not self.paused:
            longer = max(self._pause_s * 2, self._first_pause_s)
            self._pause_s = min(longer, self._max_pause_s)
            self._paused_until = time.monotonic() + self._pause_s
