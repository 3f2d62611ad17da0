"""The bodies the users send, made beforehand: the generator shall be busy sending, not encoding."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from gateway.models.manifest import Manifest
from loadtests.payloads import Bad, Payload, bad, body, examples, generated

#: Rows in the bodies of the task ``batch``.
BATCH_ROWS = (16, 128)
#: Larger bodies are not sent; the gateway takes 8 MiB by default.
_MAX_BODY = 6_000_000
#: Bytes of all rows together, and how many there are at least and at most.
_POOL_BYTES, _FEWEST, _MOST = 4_000_000, 4, 256


class Bodies:
    """What one model is asked.

    ``sizes`` are the rows of a batch; those of ``batch_rows`` whose body would be too large are
    left out, and where all are it is batches of two.
    """

    def __init__(
        self, manifest: Manifest, batch_rows: Sequence[int] = BATCH_ROWS, seed: int = 0
    ) -> None:
        first = examples(manifest)
        size = len(body(first[:1]))
        count = min(max(_POOL_BYTES // size, _FEWEST), _MOST)
        payloads: list[Payload] = [*first, *generated(manifest, count, seed)]
        self._rows = [body([payload]) for payload in payloads]
        self.sizes = [rows for rows in batch_rows if rows * size <= _MAX_BODY] or [2]
        self._bad = bad(manifest)

    def single(self, random: Random) -> bytes:
        """A body of one row."""
        return random.choice(self._rows)

    def batch(self, random: Random, rows: int) -> bytes:
        """A body of ``rows`` rows."""
        return b'{"instances": [' + b", ".join(random.choices(self._rows, k=rows)) + b"]}"

    def refused(self, random: Random) -> Bad:
        """A body that must be refused."""
        return random.choice(self._bad)
