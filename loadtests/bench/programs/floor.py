"""The floor: a bare aiohttp handler that reads the body and answers a constant.

Usage: ``python floor.py PORT``.
"""

from __future__ import annotations

import sys

import uvloop
from aiohttp import web


async def answer(request: web.Request) -> web.Response:
    """Read what was sent, look at nothing."""
    await request.read()
    return web.Response(body=b'{"weight_change":0.0}', content_type="application/json")


def main() -> None:
    """Serve on 127.0.0.1 until terminated."""
    uvloop.install()
    app = web.Application()
    app.router.add_post("/predict", answer)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


if __name__ == "__main__":
    main()
