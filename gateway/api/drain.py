"""Whether the gateway is being stopped: said by ``/readyz``, and by closing connections."""

from __future__ import annotations

from aiohttp import web


class Drain:
    """Once ``begun``, the gateway still answers, and each answer closes its connection."""

    __slots__ = ("begun",)

    def __init__(self) -> None:
        self.begun = False


#: Where the application keeps it.
DRAIN = web.AppKey("drain", Drain)
