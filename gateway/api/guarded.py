"""The connection's own door with a guard before it; without API keys there is none."""

from __future__ import annotations

from gateway.api.connection import Arrival, Door
from gateway.api.envelope import Envelope, Visit
from gateway.api.keys import KeyRing
from gateway.api.predict import PATH, refuse


class GuardedDoor:
    """Takes a request for ``door`` once its API key was found and has some of its rate left."""

    def __init__(self, door: Door, ring: KeyRing, envelope: Envelope) -> None:
        self.wants = door.wants
        self._door = door
        self._ring = ring
        self._envelope = envelope

    def take(self, arrival: Arrival) -> bool:
        """See :class:`gateway.api.connection.Door`."""
        try:
            key = self._ring.authenticate(arrival.headers)
            self._ring.take(key)
        except Exception as error:
            refuse(arrival, Visit(arrival, PATH), self._envelope, error)
            return True
        if self._door.take(arrival):
            return True
        self._ring.give_back(key)  # the application's middleware counts it
        return False
