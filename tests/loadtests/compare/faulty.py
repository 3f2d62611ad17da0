"""A server of these tests in TorchServe's place: its protocol, our graph, and a planted fault.

``python -m tests.loadtests.compare.faulty PORT VERSION_FOLDER FAULT [NAME]`` listens on 127.0.0.1,
for predictions and management alike. It is no TorchServe. Where a NAME is given it says so in
``X-Stand-In``, as every stand-in must; without one it passes for the real server, because of a
stand-in no advice is ever given, and the advice on faults is what is tested.
Protocol: https://docs.pytorch.org/serve/inference_api.html
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from aiohttp import web

from gateway.errors import InvalidRequest
from gateway.models.graph import Graph
from gateway.models.manifest import Manifest
from gateway.models.rows import Rows
from gateway.models.validator import Validator
from handlers.request_body import read_rows
from serving.launch.environment import python_path
from serving.launch.ports import free_port
from serving.launch.process import Command, Server, get_json
from tests.chaos.models import perturb

Columns = dict[str, Any]

LOGGED = "daily_calories_consumed"
SWAPPED = "bmr", "current_weight"


def _logged(columns: Columns) -> Columns:
    with np.errstate(all="ignore"):
        return columns | {LOGGED: np.log(columns[LOGGED])}


def _swapped(columns: Columns) -> Columns:
    one, other = SWAPPED
    return columns | {one: columns[other], other: columns[one]}


@dataclass(frozen=True)
class Fault:
    """What is wrong.

    ``columns`` is done to the features, ``factor`` to one of the weights; each call takes
    ``delay_s`` seconds longer, and one in ``one_in`` of them is answered by an error, 0 for none.
    """

    columns: Callable[[Columns], Columns] | None = None
    factor: float = 1.0
    delay_s: float = 0.0
    one_in: int = 0


FAULTS: Mapping[str, Fault] = {
    "none": Fault(),
    "weights": Fault(factor=1.01),
    "swapped": Fault(columns=_swapped),
    "log": Fault(columns=_logged),
    "slow": Fault(delay_s=0.005),
    "failing": Fault(one_in=100),
}


class Faulty(Server):
    """The server as a child process, for the model version in ``folder``."""

    name = "faulty"

    def __init__(
        self, run_dir: Path, folder: Path, fault: str, stand_in: str | None = None
    ) -> None:
        super().__init__(run_dir)
        self._given = [str(folder), fault, *([stand_in] if stand_in else [])]
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def ports(self) -> Mapping[str, int]:
        return {"the faulty server": self._port}

    async def prepare(self) -> Command:
        arguments = ["-m", "tests.loadtests.compare.faulty", str(self._port), *self._given]
        return Command([sys.executable, *arguments], python_path())

    async def probe(self) -> bool:
        return (await get_json(f"{self.url}/models/any"))[0] == 200


class _Service:
    """Answers as this project's handler does inside TorchServe, but for the fault."""

    def __init__(self, folder: Path, fault: Fault, stand_in: str | None) -> None:
        self._fault = fault
        self._headers = {"X-Stand-In": stand_in} if stand_in else {}
        self._validator = Validator(Manifest.load(folder.parent))
        with tempfile.TemporaryDirectory() as scratch:
            graph = Path(scratch) / "graph.onnx"
            perturb(folder / "pytorch.onnx", graph, fault.factor)
            self._graph = Graph(graph, threads=1)
        self._calls = 0

    async def predictions(self, request: web.Request) -> web.Response:
        self._calls += 1
        body = await request.read()
        if self._fault.delay_s:
            await asyncio.sleep(self._fault.delay_s)
        if self._fault.one_in and self._calls % self._fault.one_in == 0:
            return self._refuse(500, "InternalServerException", "Prediction failed")
        try:
            rows, many = read_rows({"body": body}, self._validator)
        except InvalidRequest as error:
            return self._refuse(400, type(error).__name__, error.detail)
        answers = self._answers(rows)
        return self._say(200, answers if many else answers[0])

    async def models(self, request: web.Request) -> web.Response:
        return self._say(200, [{"workers": [{"status": "READY"}]}])

    def _answers(self, rows: Rows) -> list[dict[str, float]]:
        if self._fault.columns is not None:
            rows = Rows(self._fault.columns(rows.columns), rows.count)
        outputs = self._graph.run(rows)
        return [{"weight_change": value} for value in outputs["weight_change"].ravel().tolist()]

    def _refuse(self, status: int, kind: str, message: str) -> web.Response:
        return self._say(status, {"code": status, "type": kind, "message": message})

    def _say(self, status: int, content: Any) -> web.Response:
        # As the handler: with the bare NaN of Python's own JSON.
        return web.Response(
            status=status,
            text=json.dumps(content),
            content_type="application/json",
            headers=self._headers,
        )


async def _serve(port: int, folder: Path, fault: str, stand_in: str | None = None) -> None:
    service = _Service(folder, FAULTS[fault], stand_in)
    app = web.Application(client_max_size=2**24)
    for version in ("", "/{version}"):
        app.router.add_post(f"/predictions/{{name}}{version}", service.predictions)
        app.router.add_get(f"/models/{{name}}{version}", service.models)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
