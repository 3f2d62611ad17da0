"""What a driver is told to do, and what came of it; both travel as msgpack between processes."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray


class Plan(msgspec.Struct, kw_only=True):
    """Load on one server: ``requests``, whole HTTP/1.1 requests, sent in turn to ``host``:``port``.

    Without ``rate`` the loop is closed: each of ``connections`` sends its next request as soon as
    it has its answer. With ``rate``, requests per second, it is open: requests are meant to be sent
    at the random times of a Poisson process drawn from ``seed``, whatever becomes of those before.
    One that finds all ``connections`` taken waits for the first that is free, and its latency
    counts from when it was meant to be sent.

    Requests are sent for ``warmup_s`` and then ``seconds``; only those of the latter are counted.
    One without an answer ``give_up_s`` after it was meant to be sent is given up. Raises ValueError
    for what cannot be done.
    """

    requests: list[bytes]
    host: str
    port: int
    connections: int
    rate: float | None = None
    seconds: float
    warmup_s: float = 0.0
    give_up_s: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.requests:
            raise ValueError("there is no request to send")
        if self.connections < 1:
            raise ValueError("at least one connection is needed")
        if self.rate is not None and not self.rate > 0:
            raise ValueError("the rate must be positive")
        if not (self.seconds > 0 and self.warmup_s >= 0 and self.give_up_s > 0):
            raise ValueError("the times must be positive")


class Outcome(msgspec.Struct, kw_only=True):
    """What became of the requests that were meant to be sent in the measured window.

    ``packed`` holds the latency of each answer with status 200 in ms, as float64, in the order they
    came; see :attr:`latencies_ms`. A latency counts from when the request was meant to be sent: in
    a closed loop, when it was. ``errors`` counts the others by what they were: ``503 overloaded``
    (the status, and the slug of a problem document's type), ``no answer in time``,
    ``connection lost``, ``cannot connect``, ``unreadable answer``. ``sent`` is the number of all.

    ``seconds`` is the length of the window, and ``in_window`` the number of answers with status 200
    that came in it, whenever their requests had been sent: an overloaded server answers the last
    ones long after. ``driver_cpu_s`` is the CPU time the driver needed in the window, without what
    it spent waiting busily for the next sending time.
    """

    packed: bytes
    errors: dict[str, int]
    sent: int
    in_window: int
    seconds: float
    driver_cpu_s: float

    @property
    def latencies_ms(self) -> NDArray[np.float64]:
        """The latencies in ms, in the order the answers came: ``float64[answered]``."""
        return np.frombuffer(self.packed, dtype=np.float64)


def arrivals(rate: float, seconds: float, seed: int) -> NDArray[np.float64]:
    """The times of a Poisson process in seconds: ``float64[n]``, ascending, from 0 to ``seconds``.

    ``rate`` is the mean number per second; the same ``seed`` gives the same times.
    """
    draw = np.random.default_rng(seed)
    some = int(rate * seconds) + 64
    times = np.cumsum(draw.exponential(1 / rate, some))
    while times[-1] < seconds:
        more = times[-1] + np.cumsum(draw.exponential(1 / rate, some))
        times = np.concatenate([times, more])
    return times[times < seconds]
