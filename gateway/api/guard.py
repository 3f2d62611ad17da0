"""Who may pass which door: API keys, their rates, and what only an admin may do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from enum import Enum, auto
from pathlib import Path

from aiohttp import web

from gateway.api.keys import KeyRing, require_admin
from gateway.api.page import DOORS
from gateway.config import Settings
from gateway.errors import Forbidden
from gateway.logs import logger

_REFRESH_S = 1.0


class Need(Enum):
    """What a request needs to pass."""

    #: For whoever watches the process, and for pages that hold nothing of their own.
    NOTHING = auto()
    #: An API key, where the gateway has some.
    KEY = auto()
    #: An admin's, where it has some and the door is not on a port of its own.
    READ = auto()
    #: An admin's, always.
    EDIT = auto()


_HEALTH = frozenset({"/healthz", "/readyz"})
#: How the routes begin that manage the gateway; ``management_port`` moves them.
_MANAGEMENT = ("/metrics", "/v1/backends", "/v1/routing", "/v1/shadow")


def need(door: str, method: str) -> Need:
    """What a request to a door, a route's pattern, needs; "" is any path without a route."""
    if door in _HEALTH or door in DOORS:
        return Need.NOTHING
    if door.startswith(_MANAGEMENT):
        return Need.READ if method in ("GET", "HEAD") else Need.EDIT
    return Need.KEY


class Guard:
    """Lets requests pass the doors of one application; ``ring`` None asks nobody for a key.

    ``private`` means that the application listens on the management port.
    """

    def __init__(self, ring: KeyRing | None, private: bool = False) -> None:
        self.ring = ring
        self._private = private

    def admit(self, door: str, method: str, headers: Mapping[str, str]) -> None:
        """Return where the request may pass; it then counts against its key's rate.

        Raises :class:`Unauthorized`, :class:`Forbidden` or :class:`RateLimited`.
        """
        needed = need(door, method)
        if needed is Need.NOTHING or (needed is Need.READ and self._private):
            return
        if self.ring is None:
            if needed is Need.EDIT:
                raise Forbidden(
                    "this needs an admin's API key, and the gateway has no keys: make one with "
                    "`gateway key new --admin`, and set api_keys_file (GATEWAY_API_KEYS_FILE)"
                )
            return
        key = self.ring.authenticate(headers)
        self.ring.take(key)
        if needed is not Need.KEY:
            require_admin(key)
        if needed is Need.EDIT:
            fields = {"door": door, "method": method, "api_key": key.name}
            logger.info("an edit was asked for", extra={"fields": fields})


#: Where an application keeps it.
GUARD = web.AppKey("guard", Guard)


def open_ring(settings: Settings) -> KeyRing | None:
    """The keys the settings name; raises :class:`ConfigError`."""
    return KeyRing.load(Path(settings.api_keys_file)) if settings.api_keys_file else None


async def follow_keys(app: web.Application) -> AsyncIterator[None]:
    """Read the file of keys again whenever it has changed, as long as the application runs."""
    ring = app[GUARD].ring
    following = asyncio.create_task(_follow(ring)) if ring is not None else None
    yield
    if following is not None:
        following.cancel()


async def _follow(ring: KeyRing) -> None:
    while True:
        await asyncio.sleep(_REFRESH_S)
        ring.refresh()
