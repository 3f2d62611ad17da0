"""What calls to a backend cost: so much each, and so much per row."""

from __future__ import annotations

#: What a new call counts for in the means.
_NEW_SHARE = 0.2
#: How many times as long as those before it a call may count for, however long it took.
_BELIEVED = 4.0
#: While calls were all of one size it is unknown what a row more would cost. It is taken to be this
#: share of what a row has cost so far: most engines take a call of a few rows hardly longer than
#: one of one row, and what waits by mistake waits a bounded time.
_ASSUMED_SHARE = 1 / 16
#: What that counts for beside calls of different sizes.
_ASSUMED_WEIGHT = 0.01


class Cost:
    """A line fitted to the rows and seconds of the latest calls, the newest weighing most."""

    __slots__ = ("_common", "_rows", "_seconds", "_spread")

    def __init__(self) -> None:
        #: Means of rows and of seconds, variance of rows, covariance of both.
        self._rows = self._seconds = self._spread = self._common = 0.0

    def note(self, rows: int, seconds: float) -> None:
        """A call with ``rows`` rows, at least one, took so long."""
        if not self._rows:
            self._rows, self._seconds = rows, seconds
            return
        # One call may take long for the machine's reasons; several in a row are believed.
        usual = self._seconds * max(1.0, rows / self._rows)
        seconds = min(seconds, _BELIEVED * usual)
        more, longer = rows - self._rows, seconds - self._seconds
        self._rows += more * _NEW_SHARE
        self._seconds += longer * _NEW_SHARE
        kept = 1 - _NEW_SHARE
        self._spread = kept * (self._spread + _NEW_SHARE * more * more)
        self._common = kept * (self._common + _NEW_SHARE * more * longer)

    def seconds(self, calls: int, rows: int) -> float:
        """How long so many calls with so many rows together take; 0 before the first was noted."""
        if not self._rows:
            return 0.0
        most = self._seconds / self._rows
        weight = _ASSUMED_WEIGHT * self._rows * self._rows
        per_row = (self._common + _ASSUMED_SHARE * most * weight) / (self._spread + weight)
        per_row = min(max(per_row, 0.0), most)
        return calls * (self._seconds - per_row * self._rows) + rows * per_row
