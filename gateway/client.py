"""What the command line asks: a running gateway over HTTP, or the same parts in this process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec

from gateway.api.health import survey
from gateway.api.models import listing
from gateway.api.predict import prediction
from gateway.backends.base import Call
from gateway.config import Settings
from gateway.errors import GatewayError
from gateway.routing.router import open_router
from gateway.tracing import new_request_id

#: Where the command line finds the API key for a gateway that wants one.
KEY_VARIABLE = "GATEWAY_API_KEY"
_TIMEOUT = aiohttp.ClientTimeout(total=60)


async def predict(url: str, body: bytes, query: Mapping[str, str]) -> Any:
    """``POST /v1/predict`` at a running gateway; raises :class:`GatewayError` with its words."""
    return await _request("POST", url, "/v1/predict", query, body)


async def get(url: str, path: str) -> Any:
    """GET one of a running gateway's JSON documents."""
    return await _request("GET", url, path, {}, None)


async def predict_here(settings: Settings, body: bytes, query: Mapping[str, str]) -> Any:
    """Answer as ``/v1/predict`` would, without a server."""
    async with open_router(settings) as router:
        identity = new_request_id()
        targets = router.select(**query).targets({}, identity)
        rows = targets[0].model.validator.decode(body)
        answer = await router.predict(targets, rows, Call.within(settings.request_timeout_s))
        return msgspec.to_builtins(prediction(rows, answer, identity))


async def backends_here(settings: Settings) -> list[dict[str, Any]]:
    """Answer as ``/v1/backends`` would, without a server."""
    async with open_router(settings) as router:
        return await survey(router)


def models_here(settings: Settings) -> dict[str, Any]:
    """Answer as ``/v1/models`` would, without a server."""
    return listing(open_router(settings).repository)


async def _request(
    method: str, url: str, path: str, query: Mapping[str, str], body: bytes | None
) -> Any:
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY_VARIABLE):
        headers["X-API-Key"] = key
    address = url.rstrip("/") + path
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.request(method, address, params=query, data=body, headers=headers) as response,
        ):
            content = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise GatewayError(f"{address}: {error or type(error).__name__}") from error
    if response.status >= 400:
        raise GatewayError(
            f"{address} answered {response.status}: {content.get('detail', content)}"
        )
    return content
