"""TorchServe, with this project's handler in the model archive.

Protocol: https://docs.pytorch.org/serve/inference_api.html — ``POST /predictions/M/V``; the
reply is what the handler returns for the request, here one object of outputs per row. Readiness is
asked of the management API, because ``/ping`` says Healthy while workers are still loading.
"""

from __future__ import annotations

from typing import Any, Self

import msgspec
import numpy as np
from yarl import URL

from gateway.backends.base import Call, Health, Target, conform
from gateway.backends.http import HTTPBackend, Reply
from gateway.config import Settings
from gateway.errors import BackendError, GatewayError, InputRefused, ModelError, shorten
from gateway.models.rows import Outputs, Rows

#: What TorchServe's ``ts/service.py`` says, with the status 503, of a handler that raised or did
#: not answer each request. The server is well, and the next request may be.
_HANDLER_FAILED = (
    "Prediction failed",
    "Invalid model predict output",
    "number of batch response mismatched",
)


class TorchServeOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the server has the model.

    ``version`` "default" leaves the choice of version to the server; "same" (the default) asks for
    the number of the gateway's own version folder. ``outputs`` renames the handler's outputs.
    """

    model: str
    outputs: dict[str, str] = {}
    version: str = "same"


class TorchServeBackend(HTTPBackend):
    """A TorchServe inference endpoint; the raw features travel, the handler preprocesses."""

    name = "torchserve"

    def __init__(
        self,
        url: str,
        management_url: str,
        max_connections: int = 100,
        connect_timeout: float = 1.0,
    ) -> None:
        super().__init__(url, max_connections, connect_timeout)
        self._management = URL(management_url)
        self._loaded: dict[Target, TorchServeOptions] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(
            settings.torchserve_url,
            settings.torchserve_management_url,
            settings.max_connections,
            settings.connect_timeout_s,
        )

    async def load(self, target: Target) -> None:
        if not target.model.manifest.batched:
            raise ModelError(f"{target.model.name}: TorchServe needs a batch dimension")
        self._loaded[target] = target.parse(TorchServeOptions)

    async def predict(self, target: Target, rows: Rows, call: Call) -> Outputs:
        options = self._loaded[target]
        path = f"/predictions/{_path(options, target)}"
        reply = await self.request("POST", path, call, rows.objects)
        content = _content(self, reply)
        if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
            raise BackendError(self.name, "its handler did not answer a list of objects")
        try:
            names = content[0] if content else ()
            arrays = {name: np.array([row[name] for row in content]) for name in names}
        except (KeyError, ValueError) as error:
            raise BackendError(self.name, f"its rows differ from each other: {error}") from error
        return conform(target, arrays, rows.count, options.outputs)

    async def check(self, target: Target, call: Call) -> Health:
        options = self._loaded[target]
        path = f"/models/{_path(options, target)}"
        try:
            reply = await self.request("GET", path, call, base=self._management)
        except GatewayError as error:
            return Health(False, error.detail)
        try:
            workers = _content(self, reply)[0]["workers"]
            states = [worker["status"] for worker in workers]
        except BackendError as error:
            return Health(False, error.detail, reply.stand_in)
        except (KeyError, IndexError, TypeError):
            return Health(False, "its reply holds no workers", reply.stand_in)
        ready = "READY" in states
        detail = "" if ready else f"workers: {', '.join(states) or 'none'}"
        return Health(ready, detail, reply.stand_in)

    async def unload(self, target: Target) -> None:
        self._loaded.pop(target, None)


def _path(options: TorchServeOptions, target: Target) -> str:
    version = target.model.version if options.version == "same" else options.version
    return options.model if version == "default" else f"{options.model}/{version}"


def _content(backend: HTTPBackend, reply: Reply) -> Any:
    """The JSON of a good reply; raises what a bad one (``{code, type, message}``) stands for."""
    try:
        content = reply.json()
    except ValueError:
        content = None
    if reply.status != 200 or content is None:
        said = content if isinstance(content, dict) else {}
        words = said.get("message")
        if reply.status == 400 and said.get("type") == InputRefused.__name__:  # our own handler
            raise InputRefused(backend.name, shorten(str(words or "it does not say why"), 500))
        if words in _HANDLER_FAILED:
            raise BackendError(backend.name, f"its handler failed: {words}; its log says why")
        raise backend.refusal(reply, words)
    return content
