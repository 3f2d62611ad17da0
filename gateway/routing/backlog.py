"""Requests that wait to be compared, or are being compared: bounded in rows and in bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from gateway.models.rows import Outputs, Rows


class Copy:
    """One request with the outputs of its own rows; ``size`` is that of both, in bytes."""

    __slots__ = ("key", "outputs", "primary_s", "rows", "size")

    def __init__(self, rows: Rows, outputs: Outputs, primary_s: float, key: str, size: int) -> None:
        self.rows = rows
        self.outputs = outputs
        self.primary_s = primary_s
        self.key = key
        self.size = size


class Backlog:
    """A queue that counts what was taken from it until that is released."""

    def __init__(self, max_rows: int, max_bytes: int) -> None:
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._queue: deque[Copy] = deque()
        self._rows = 0
        self._bytes = 0

    def __len__(self) -> int:
        """Requests that wait."""
        return len(self._queue)

    def fits(self, rows: int, size: int) -> bool:
        """Whether so much would fit in an empty backlog."""
        return rows <= self._max_rows and size <= self._max_bytes

    def has_room(self, rows: int, size: int) -> bool:
        """Whether so much fits in beside what is held now."""
        return self._rows + rows <= self._max_rows and self._bytes + size <= self._max_bytes

    def put(self, copy: Copy) -> None:
        """Hold a request; the caller has asked whether there is room."""
        self._queue.append(copy)
        self._rows += copy.rows.count
        self._bytes += copy.size

    def take(self, max_rows: int) -> list[Copy]:
        """The next requests that go together in one call; at least one, whatever its size."""
        first = self._queue.popleft()
        group, count = [first], first.rows.count
        while self._queue:
            head = self._queue[0]
            count += head.rows.count
            if count > max_rows or not _alike(first, head):
                break
            group.append(self._queue.popleft())
        return group

    def release(self, group: Iterable[Copy]) -> None:
        """What was taken is held no longer."""
        for copy in group:
            self._rows -= copy.rows.count
            self._bytes -= copy.size

    def clear(self) -> None:
        """Release all that waits."""
        self.release(self._queue)
        self._queue.clear()


def _alike(first: Copy, other: Copy) -> bool:
    """Whether both requests fit in one call, and their outputs in one array each."""
    return first.rows.compatible(other.rows) and all(
        name in other.outputs
        and array.dtype == other.outputs[name].dtype
        and array.shape[1:] == other.outputs[name].shape[1:]
        for name, array in first.outputs.items()
    )
