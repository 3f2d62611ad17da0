"""What the doors share, and how they answer."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from gateway.errors import InvalidRequest
from gateway.routing.router import Router

#: Where the application keeps the router.
ROUTER = web.AppKey("router", Router)


def json_response(content: Any, status: int = 200) -> web.Response:
    """Encode any msgspec-encodable content; NaN and Infinity become null."""
    return web.Response(
        body=msgspec.json.encode(content), status=status, content_type="application/json"
    )


def query_parameters(request: web.BaseRequest, allowed: tuple[str, ...]) -> dict[str, str]:
    """The query's parameters; raises :class:`InvalidRequest` at one that is not ``allowed``."""
    parameters = dict(request.query)
    for name in parameters:
        if name not in allowed:
            raise InvalidRequest(
                f"query: there is no parameter {name[:80]!r}; allowed: {', '.join(allowed)}",
                field="query",
                allowed=list(allowed),
            )
    return parameters
