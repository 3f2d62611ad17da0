"""TensorFlow Serving's documented REST interface over a :class:`ModelManager`.

Paths, replies and errors follow ``g3doc/api_rest.md`` and ``model_servers/http_rest_api_util.cc``.
Every reply carries ``Server: tensorflow-serving-stand-in`` and ``X-Stand-In``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

from aiohttp import web

from serving.standin import codec, examples
from serving.standin.manager import ModelManager
from serving.standin.status import ServingError, invalid_argument

logger = logging.getLogger(__name__)

HEADERS = {"Server": "tensorflow-serving-stand-in", "X-Stand-In": "tensorflow-serving"}

_MODEL = r"/v1/models(?:/(?P<name>[^/:]+))?"
_VERSION = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(rf"{_MODEL}{_VERSION}:(?P<method>classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(rf"{_MODEL}{_VERSION}(?P<metadata>/metadata)?", re.IGNORECASE)
_MAX_VERSION = 2**63 - 1

#: What libevent, the original's HTTP server, sends for paths that are not below ``/v1/``.
_NOT_FOUND_PAGE = (
    "<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD>"
    "<BODY>\n<H1>Not Found</H1>\n</BODY></HTML>\n"
)


class RestApi:
    """Answers requests; TensorFlow runs on ``worker``, which must have a single thread."""

    def __init__(self, manager: ModelManager, worker: ThreadPoolExecutor) -> None:
        self._manager = manager
        self._worker = worker

    async def handle(self, request: web.Request) -> web.Response:
        """Any request to any path."""
        path = request.rel_url.raw_path
        if not path.lower().startswith("/v1/"):
            return web.Response(
                status=404, text=_NOT_FOUND_PAGE, content_type="text/html", headers=HEADERS
            )
        try:
            text = await self._answer(request, path)
            status = 200
        except ServingError as error:
            text, status = codec.encode_error(error.message), error.http_status
        except web.HTTPRequestEntityTooLarge as error:
            text, status = codec.encode_error(f"{error.text}; a limit of the stand-in"), 413
        # Bytes that are not UTF-8 pass from request to reply unchanged, as in the original.
        body = text.encode("utf-8", "surrogateescape")
        return web.Response(
            body=body, status=status, content_type="application/json", headers=HEADERS
        )

    async def _answer(self, request: web.Request, path: str) -> str:
        pattern = {"POST": _POST, "GET": _GET}.get(request.method)
        match = pattern.fullmatch(path) if pattern is not None else None
        if match is None:
            raise invalid_argument(f"Malformed request: {request.method} {path}")
        name = unquote(match["name"] or "")
        label = None if match["label"] is None else unquote(match["label"])
        version = None if match["version"] is None else _version(match["version"])
        if request.method == "GET":
            if not name:
                raise invalid_argument("Missing model name in request.")
            if match["metadata"]:
                return self._metadata(name, version, label)
            return self._status(name, version, label)
        body = await request.read()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._worker, self._run, match["method"].lower(), body, name, version, label
        )

    def _run(
        self, method: str, body: bytes, name: str, version: int | None, label: str | None
    ) -> str:
        """Decode, run and encode one request; on the worker thread."""
        document = codec.parse_document(body)
        signature = codec.signature_name(document)
        if method == "predict":
            _, servable = self._manager.get(name, version, label)
            form, inputs = codec.decode_predict(document, servable.input_types(signature))
            return codec.encode_predict(form, servable.predict(signature, inputs))
        batch = examples.decode_examples(document)
        _, servable = self._manager.get(name, version, label)
        if method == "classify":
            return examples.encode_classes(*servable.classify(signature, batch))
        return examples.encode_regressions(servable.regress(signature, batch))

    def _status(self, name: str, version: int | None, label: str | None) -> str:
        statuses = [
            {
                "version": str(known.number),
                "state": known.state,
                "status": {"error_code": known.error_code, "error_message": known.error_message},
            }
            for known in self._manager.status(name, version, label)
        ]
        return json.dumps({"model_version_status": statuses}, indent=1) + "\n"

    def _metadata(self, name: str, version: int | None, label: str | None) -> str:
        number, servable = self._manager.get(name, version, label)
        spec = {"name": name, "signature_name": "", "version": str(number)}
        signatures = {"signature_def": servable.metadata()}
        # Glued together like this in http_rest_api_util.cc, hence the odd line breaks.
        return (
            f'{{\n"model_spec":{json.dumps(spec, indent=1)}\n,\n'
            f'"metadata": {{"signature_def": {json.dumps(signatures, indent=1)}\n}}\n}}\n'
        )


def _version(digits: str) -> int:
    if int(digits[:20]) > _MAX_VERSION:
        raise invalid_argument(f"Failed to convert version: {digits} to numeric.")
    return int(digits)


def create_app(
    manager: ModelManager, worker: ThreadPoolExecutor, *, max_body: int, poll_s: float
) -> web.Application:
    """The HTTP application; it looks for new versions every ``poll_s`` seconds (0: never).

    ``max_body`` limits request bodies, in bytes, after decompression.
    """
    app = web.Application(client_max_size=max_body)
    app.router.add_route("*", "/{tail:.*}", RestApi(manager, worker).handle)
    if poll_s > 0:
        app.cleanup_ctx.append(lambda _: _watch(manager, poll_s))
    return app


async def _watch(manager: ModelManager, poll_s: float) -> AsyncIterator[None]:
    async def poll() -> None:
        while True:
            await asyncio.sleep(poll_s)
            try:
                await asyncio.to_thread(manager.refresh)
            except OSError as error:
                logger.warning("looking for new versions: %s", error)

    task = asyncio.create_task(poll())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
