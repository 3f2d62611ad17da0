"""A stand-in for a slow TorchServe: its protocol, a constant for an answer, and a delay.

``python -m tests.chaos.late PORT DELAY_S`` listens on 127.0.0.1. It is no TorchServe, and says so
in ``X-Stand-In``. Protocol: https://docs.pytorch.org/serve/inference_api.html
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import uvloop
from aiohttp import web

from serving.launch.environment import python_path
from serving.launch.ports import free_port
from serving.launch.process import Command, Server, get_json

_HEADERS = {"X-Stand-In": "late"}


class Late(Server):
    """The stand-in as a child process; it answers after ``delay_s`` seconds."""

    name = "late"

    def __init__(self, run_dir: Path, delay_s: float) -> None:
        super().__init__(run_dir)
        self._delay_s = delay_s
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def stand_in(self) -> bool:
        return True

    @property
    def ports(self) -> Mapping[str, int]:
        return {"the stand-in": self._port}

    async def prepare(self) -> Command:
        arguments = ["-m", "tests.chaos.late", str(self._port), str(self._delay_s)]
        return Command([sys.executable, *arguments], python_path())

    async def probe(self) -> bool:
        return (await get_json(f"{self.url}/models/any/1"))[0] == 200


async def _serve(port: int, delay_s: float) -> None:
    async def predictions(request: web.Request) -> web.Response:
        rows = await request.json()
        await asyncio.sleep(delay_s)
        return web.json_response([{"output": 0.0}] * len(rows), headers=_HEADERS)

    async def models(request: web.Request) -> web.Response:
        return web.json_response([{"workers": [{"status": "READY"}]}], headers=_HEADERS)

    app = web.Application()
    app.add_routes(
        [
            web.post("/predictions/{name}/{version}", predictions),
            web.get("/models/{name}/{version}", models),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
