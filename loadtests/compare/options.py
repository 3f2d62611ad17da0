"""What a comparison is told."""

from __future__ import annotations

from pathlib import Path

import msgspec

from loadtests.compare.errors import CompareError

#: Packages whose versions the report names, where they are installed.
PACKAGES = (
    "onnxruntime", "aiohttp", "uvloop", "msgspec", "numpy", "torch", "torchserve", "tensorflow",
)  # fmt: skip


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How thoroughly it is measured.

    ``backends`` and ``candidate`` are as in :mod:`.subjects`. ``rows`` is a number of generated
    payloads, or a file of them. Each speed is measured ``rounds`` times for ``seconds``, by
    ``clients`` that each have one request under way, with bodies of ``batches`` rows by one client,
    and at ``rates`` requests per second; where no rates are given they are :data:`SHARES` of what
    the slowest subject can do, and more for those that can do more. ``direct`` asks the servers
    themselves, too. ``cold_starts`` is how often each server is started to be timed, 0 for not at
    all. ``images`` are the servers' container images by the server's name, ``builds`` the
    Dockerfiles they are built from, to be timed. ``price`` is that of one core for an hour.
    ``locust_s`` is the length of a run of Locust per backend, 0 for none.
    """

    model: str | None = None
    version: str | None = None
    backends: tuple[str, ...] = ()
    candidate: str | None = None
    rows: int | Path = 1000
    rounds: int = 5
    seconds: float = 1.0
    clients: tuple[int, ...] = (1, 8, 64)
    batches: tuple[int, ...] = (128,)
    rates: tuple[float, ...] | None = None
    direct: bool = True
    cold_starts: int = 2
    images: dict[str, str] = {}
    builds: dict[str, Path] = {}
    price: float | None = None
    locust_s: int = 0
    locust_users: int = 16
    seed: int = 1

    def check(self) -> None:
        """Raise :class:`CompareError` at a build that could not be measured."""
        for server, source in self.builds.items():
            if server not in self.images:
                raise CompareError(f"--build {server}=…: name its image, too: --image {server}=…")
            dockerfile = source / "Dockerfile" if source.is_dir() else source
            if not dockerfile.is_file():
                raise CompareError(f"--build {server}=…: there is no {dockerfile}")


#: The open loop's rates, as parts of what the slowest subject answers in a closed one.
SHARES = (0.25, 0.5, 0.75)
