"""The floor: what aiohttp costs by itself. Runs with the very aiohttp and uvloop of the gateway."""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.bench.endpoint import Endpoint, answer_object, one_object
from loadtests.bench.opponents.opponent import PROGRAMS, Opponent, Place
from serving.launch.process import get_json


class Floor(Opponent):
    """A bare aiohttp handler that reads the body and answers a constant."""

    name = "floor"

    def arguments(self) -> Sequence[str]:
        return [str(self.python), str(PROGRAMS / "floor.py"), str(self.port)]

    async def probe(self) -> bool:
        status, _ = await get_json(self.url)
        return status == 404  # it has one route, and that is no GET


def endpoint(place: Place) -> Endpoint:
    """It is the one contestant that predicts nothing."""
    return Endpoint(
        "bare aiohttp handler", Floor(place), "/predict", one_object, answer_object, graph=""
    )
