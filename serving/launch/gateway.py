"""The gateway itself as a child process, told where the servers are."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from serving.launch.environment import python_path
from serving.launch.ports import free_port
from serving.launch.process import Command, Server, get_json
from serving.launch.tfserving import TFServing
from serving.launch.torchserve import TorchServe


class Gateway(Server):
    """``python -m gateway serve`` in front of ``servers``, ready when each of them answers.

    ``port`` 0 takes a free one. ``host`` may be ``0.0.0.0``; it is then probed on 127.0.0.1.
    """

    name = "gateway"
    grace_s = 20

    def __init__(
        self,
        run_dir: Path,
        repository: Path,
        servers: Sequence[Server],
        host: str = "127.0.0.1",
        port: int = 8000,
    ) -> None:
        super().__init__(run_dir)
        self._repository = repository.resolve()
        self._servers = servers
        self._host = host
        self._port = port or free_port()
        self.detail = "model-serving-gateway"

    @property
    def url(self) -> str:
        host = "127.0.0.1" if self._host in ("0.0.0.0", "::", "") else self._host
        return f"http://{host}:{self._port}"

    @property
    def ports(self) -> Mapping[str, int]:
        return {"the gateway": self._port}

    async def prepare(self) -> Command:
        environment = {
            # The clients of `gateway up` do not follow its readiness; unless somebody says so.
            "GATEWAY_DRAIN_GRACE_S": os.environ.get("GATEWAY_DRAIN_GRACE_S", "0"),
            "GATEWAY_HOST": self._host,
            "GATEWAY_PORT": str(self._port),
            "GATEWAY_REPOSITORY": str(self._repository),
            "GATEWAY_REQUIRED_BACKENDS": ",".join(
                ["onnx", *(server.name for server in self._servers)]
            ),
        }
        for server in self._servers:
            if isinstance(server, TorchServe):
                environment["GATEWAY_TORCHSERVE_URL"] = server.url
                environment["GATEWAY_TORCHSERVE_MANAGEMENT_URL"] = server.management_url
            elif isinstance(server, TFServing):
                environment["GATEWAY_TFSERVING_URL"] = server.url
        return Command([sys.executable, "-m", "gateway", "serve"], environment | python_path())

    async def probe(self) -> bool:
        # It asks the backends first, which may take seconds each.
        status, _ = await get_json(f"{self.url}/readyz", timeout_s=10)
        return status == 200
