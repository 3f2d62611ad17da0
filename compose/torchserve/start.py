"""TorchServe as a container's process: as the launcher starts it, on all of its addresses.

Java takes this process's place, so signals reach it. The configuration is ``config.properties`` of
the working folder, the archives are those of the model repository that ``MODELS`` names.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from serving.launch import LaunchError, TorchServe


class ContainerTorchServe(TorchServe):
    """Listens on every address; who reaches them is the container network's business."""

    @property
    def url(self) -> str:
        return "http://0.0.0.0:8080"

    @property
    def management_url(self) -> str:
        return "http://0.0.0.0:8081"

    @property
    def metrics_url(self) -> str:
        return "http://0.0.0.0:8082"


def main() -> None:
    """Write TorchServe's files below the temporary folder and become Java."""
    repository = Path(os.environ["MODELS"])
    server = ContainerTorchServe(Path(tempfile.gettempdir()), repository, required=False)
    try:
        command = asyncio.run(server.prepare())
    except LaunchError as error:
        sys.exit(f"error: {error}")
    if not server.serves:
        print(f"no archive (*.mar) in {repository}: TorchServe has nothing to serve", flush=True)
    if command.folder is not None:
        os.chdir(command.folder)
    arguments = list(command.arguments)
    os.execve(arguments[0], arguments, {**os.environ, **command.environment})


if __name__ == "__main__":
    main()
