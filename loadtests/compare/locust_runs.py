"""Headless runs of Locust, a backend after the other, as the report shows them.

Locust changes the standard library of its process, so each run is a process of its own; it is given
the manifest that the gateway describes, so both always speak of the same model.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gateway.models.manifest import Manifest
from loadtests.compare.errors import CompareError
from loadtests.compare.results import Figure, LocustRun, figure_id
from loadtests.compare.subjects import describe
from loadtests.users.manifests import (
    MODEL_VARIABLE,
    REPOSITORY_VARIABLE,
    described,
    write_repository,
)
from loadtests.users.names import classes_of
from loadtests.users.recording import Recording

Progress = Callable[[str], None]

_ROOT = Path(__file__).parents[2]
_LOCUSTFILE = _ROOT / "loadtests" / "locustfile.py"
#: A missing answer counts as a failure after this; users that wait for one may finish.
_GIVE_UP_S = 10
#: What starting and ending Locust may take beside the run.
_GRACE_S = 60
#: From this share of its core on Locust itself was what limited the run.
_LIMITED = 0.9
_LAST_LINES = 3


class Load(NamedTuple):
    """``users`` at a time, at most; ``shape`` is one of the locustfile's ``--shape``."""

    users: int
    seconds: int
    shape: str


class Outcome(NamedTuple):
    """A run, and how often what failed in it by its words."""

    run: LocustRun
    errors: dict[str, int]


class Offer(NamedTuple):
    """The model a gateway serves, and its backends: ready ones, and why the others are not.

    ``stand_ins`` are the stand-ins by backend.
    """

    manifest: Manifest
    ready: list[str]
    down: dict[str, str]
    stand_ins: dict[str, str]


async def locust_runs(
    url: str,
    model: str | None,
    backends: Sequence[str],
    users: int,
    seconds: float,
    shape: str,
    progress: Progress,
) -> list[LocustRun]:
    """The runs of the users of each of ``backends`` against the gateway at ``url``.

    A backend is named ``onnx`` (the users of all its lineages) or ``onnx/pytorch``; ``users`` are
    the most at a time, ``seconds`` is rounded to whole ones, ``shape`` is one of the locustfile's
    ``--shape``. ``progress`` is told what is run and what failed, a line each. Raises
    :class:`CompareError` where the gateway, the model, a backend or Locust is not there.
    """
    offer = await ask_offer(url, model)
    load = Load(users, max(round(seconds), 1), shape)
    async with aclosing(outcomes(url, offer, backends, load, progress)) as found:
        return [outcome.run async for outcome in found]


async def outcomes(
    url: str, offer: Offer, backends: Sequence[str], load: Load, progress: Progress
) -> AsyncGenerator[Outcome]:
    """The same, one by one, each with what failed in it."""
    if importlib.util.find_spec("locust") is None:
        raise CompareError("Locust is not installed: pip install '.[loadtest]'")
    classes = {backend: classes_of(offer.manifest, backend) for backend in backends}
    for backend, names in classes.items():
        if not names:
            known = ", ".join(offer.manifest.backends)
            raise CompareError(f"{offer.manifest.name} has no backend {backend!r}; {known}")
    for backend, names in classes.items():
        progress(f"Locust: {load.users} users of {backend} for {load.seconds} s")
        with tempfile.TemporaryDirectory(prefix="locust-") as folder:
            recording = await _record(url, offer.manifest, Path(folder), names, load)
        run = _run(backend, load, recording, offer.stand_ins.get(backend.partition("/")[0]))
        if not run.requests:
            progress(f"Locust: {backend}: nothing was answered")
        for words, count in recording.errors.items():
            progress(f"Locust: {backend}: {count} × {words}")
        yield Outcome(run, recording.errors)


async def ask_offer(url: str, model: str | None) -> Offer:
    """What the gateway at ``url`` serves of ``model``, the only one where it is None.

    Raises :class:`CompareError` where the gateway or the model is not there.
    """
    description, survey = await describe(url, model)
    manifest = described(description)
    states = {entry["name"]: entry for entry in survey}
    down = {
        backend: why
        for backend in manifest.backends
        if (why := _down(states.get(backend), manifest.name)) is not None
    }
    return Offer(
        manifest,
        [backend for backend in manifest.backends if backend not in down],
        down,
        {name: entry["stand_in"] for name, entry in states.items() if entry["stand_in"]},
    )


def _down(entry: dict[str, Any] | None, model: str) -> str | None:
    """Why the backend answers for no lineage of the model; None where it does for one."""
    states = [state for state in (entry or {}).get("models", []) if state["model"] == model]
    if any(state["ready"] for state in states):
        return None
    return next((state["detail"] for state in states if state["detail"]), "it is not ready")


async def _record(
    url: str, manifest: Manifest, folder: Path, classes: Sequence[str], load: Load
) -> Recording:
    """What came of one headless run; raises :class:`CompareError` where there was none."""
    repository = write_repository(manifest, folder / "repository")
    record = folder / "recording.json"
    # Neither the shell's nor the folder's settings of Locust have a part in it.
    environ = {name: v for name, v in os.environ.items() if not name.startswith("LOCUST_")} | {
        REPOSITORY_VARIABLE: str(repository),
        MODEL_VARIABLE: manifest.name,
        # The child finds this very project, installed or not.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])),
    }
    command = [
        *(sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE), "--headless", "--only-summary"),
        *("--loglevel", "WARNING", "--host", url.rstrip("/"), "--shape", load.shape),
        *("--users", str(load.users), "--spawn-rate", str(load.users)),
        *("--run-time", f"{load.seconds}s", "--record", str(record)),
        *("--give-up-seconds", str(_GIVE_UP_S), "--stop-timeout", str(_GIVE_UP_S + 1)),
        *classes,
    ]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
        env=environ,
    )
    try:
        async with asyncio.timeout(load.seconds + _GIVE_UP_S + _GRACE_S):
            output, _ = await process.communicate()
    except TimeoutError as error:
        raise CompareError(f"Locust did not end within {_GRACE_S} s after its run") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not record.is_file():
        lines = output.decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
        raise CompareError(f"Locust ended with {process.returncode}: {' | '.join(lines)}")
    return msgspec.json.decode(record.read_bytes(), type=Recording)


def _run(backend: str, load: Load, recording: Recording, stand_in: str | None) -> LocustRun:
    empty = "" if recording.requests else "nothing was answered"
    failed = ""
    if recording.failures:
        failed = f"{recording.failures:,} of {recording.requests:,} requests failed"
    limited = ""
    if recording.busy >= _LIMITED:
        limited = f"Locust used {recording.busy:.0%} of a core: it may have been the limit"

    def figure(measure: str, what: str, value: float | None, unit: str, *remarks: str) -> Figure:
        return Figure(
            id=figure_id("locust", backend, measure),
            what=f"{what}, users of {backend} in Locust",
            value=value,
            unit=unit,
            stand_in=stand_in,
            remark="; ".join(filter(None, [empty, *remarks])),
        )

    rate = recording.in_time / recording.seconds if recording.requests else None
    return LocustRun(
        backend=backend,
        users=load.users,
        shape=load.shape,
        seconds=recording.seconds,
        requests=recording.requests,
        failures=recording.failures,
        requests_per_s=figure(
            "requests-per-s", "requests per second", rate, "requests/s", failed, limited
        ),
        p50=figure("p50", "median latency", recording.p50, "ms", failed),
        p95=figure("p95", "95th percentile of latency", recording.p95, "ms", failed),
        p99=figure("p99", "99th percentile of latency", recording.p99, "ms", failed),
        history=recording.ticks,
        stand_in=stand_in,
    )
