"""``/v1/routing`` and ``/v1/shadow``: the routing policy, seen and edited, and what shadows found.

Doors of the management; see :mod:`gateway.api.guard` for who may use them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from gateway.api.state import ROUTER, json_response, query_parameters
from gateway.errors import ConfigError, InvalidRequest, NotFound
from gateway.routing.policy_document import KEYS, Document, set_value, shift
from gateway.routing.router import Router


class _Shift(msgspec.Struct, forbid_unknown_fields=True):
    """``percent`` of the requests shall go to the route ``to``."""

    to: str
    percent: float


async def show(request: web.Request) -> web.Response:
    """The policy in force, and why newer content of its file is refused, if it is."""
    query_parameters(request, ())
    return json_response(report(request.app[ROUTER]))


async def replace(request: web.Request) -> web.Response:
    """Replace one model's policy by the body, an object with the keys of the file."""
    entry = await _body(request, dict[str, Any])
    unknown = sorted(set(entry) - set(KEYS))
    if unknown:
        allowed = list(KEYS)
        raise InvalidRequest(
            f"body: there is no key {unknown[0][:80]!r}; allowed: {', '.join(allowed)}",
            field=unknown[0][:80],
            allowed=allowed,
        )
    model = _model(request)

    def change(document: Document) -> None:
        for key in KEYS:
            set_value(document, model, key, entry.get(key))

    return await _edit(request, change)


async def move(request: web.Request) -> web.Response:
    """Move the model's canary so that a route gets a percentage of its requests."""
    wanted = await _body(request, _Shift)
    model = _model(request)
    backends = list(request.app[ROUTER].versions.newest(model))

    def change(document: Document) -> None:
        shift(document, model, wanted.to, wanted.percent, backends)

    return await _edit(request, change)


async def shadow(request: web.Request) -> web.Response:
    """What each model's shadow has found, in this worker. Holds payloads of clients."""
    query_parameters(request, ())
    return json_response({"models": request.app[ROUTER].shadowing.reports()})


def report(router: Router) -> dict[str, Any]:
    """The routing policy and the state of its file."""
    file = router.policy
    return {
        "path": str(file.path),
        "digest": file.digest,
        "error": file.error,
        "models": {name: model.as_written() for name, model in file.policy.models.items()},
    }


async def _edit(request: web.Request, change: Callable[[Document], None]) -> web.Response:
    router = request.app[ROUTER]
    try:
        await asyncio.to_thread(router.policy.edit, change)
    except ConfigError as error:
        raise InvalidRequest(error.detail, field="body") from error
    router.policy.load()
    return json_response(report(router))


def _model(request: web.Request) -> str:
    name = request.match_info["model"]
    models = request.app[ROUTER].repository.models
    if name not in models:
        raise NotFound("model", name, list(models))
    return name


async def _body(request: web.Request, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"body: {error}", field="body") from error
