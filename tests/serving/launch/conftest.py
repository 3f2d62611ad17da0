"""A small server to launch, and checks that nothing outlives it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from serving.launch import Server, groups
from serving.launch.ports import free_port
from serving.launch.process import Command, get_json

#: Answers every GET with an empty JSON object.
ANSWERS = """
    import http.server, sys

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    print("started", flush=True)
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Small(Server):
    """A Python script with a port, ready when it answers."""

    grace_s = 2

    def __init__(self, run_dir: Path, script: str = ANSWERS, name: str = "small") -> None:
        super().__init__(run_dir)
        self.name = name
        self.port = free_port()
        self.script = script

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ports(self) -> Mapping[str, int]:
        return {"small test server": self.port}

    async def prepare(self) -> Command:
        return Command([sys.executable, "-c", textwrap.dedent(self.script), str(self.port)])

    async def probe(self) -> bool:
        return (await get_json(self.url))[0] == 200


MakeSmall = Callable[..., Small]


@pytest.fixture
async def make_small(tmp_path: Path) -> AsyncIterator[MakeSmall]:
    """Makes small servers; whatever a test leaves of them is killed."""
    made: list[Small] = []

    def make(script: str = ANSWERS, name: str = "small") -> Small:
        made.append(Small(tmp_path / "run", script, name))
        return made[-1]

    yield make
    for server in made:
        await server.stop()


def assert_gone(group: int | None) -> None:
    """No process of the group is alive."""
    assert group is not None
    assert groups.members(group) == []
