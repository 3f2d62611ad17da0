"""Container images: how large they are, and how long they take to build."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from loadtests.compare.errors import CompareError
from loadtests.compare.results import Figure, figure_id

Connect = Callable[[], Any]


def connect() -> Any:
    """The client of this machine's Docker engine; raises :class:`CompareError` without one."""
    try:
        import docker
    except ImportError:
        raise CompareError("the Python package docker is not installed") from None
    try:
        engine = docker.from_env()
        engine.ping()
    except (docker.errors.DockerException, OSError):
        raise CompareError("no Docker engine answers here") from None
    return engine


def sizes(images: Iterable[str], connect: Connect = connect) -> dict[str, Figure]:
    """MB (10⁶ bytes) of each image, by its name; None where there is no engine or no such image."""
    try:
        engine = connect()
    except CompareError as error:
        return {image: _size(image, None, str(error)) for image in images}
    return {image: _inspect(engine, image) for image in images}


def build(image: str, source: Path, connect: Connect = connect) -> tuple[Figure, Figure]:
    """Build and tag an image with no layer kept from before: its size, and the seconds it took.

    ``source`` is a Dockerfile whose context is the working folder, or a folder with both. The
    images it starts from may be here already. ``BUILD_NETWORK`` and ``TORCH_INDEX`` mean what
    ``.env.example`` says. None and the engine's words where it cannot be built.
    """
    context, dockerfile = (source, "Dockerfile") if source.is_dir() else (Path(), str(source))
    seconds: float | None = None
    try:
        engine = connect()
        started = time.perf_counter()
        _call(
            lambda: engine.images.build(
                path=str(context),
                dockerfile=dockerfile,
                tag=image,
                network_mode=os.environ.get("BUILD_NETWORK", "default"),
                buildargs={"PIP_EXTRA_INDEX_URL": os.environ.get("TORCH_INDEX", "")},
                nocache=True,
                rm=True,
                forcerm=True,
            )
        )
        seconds = time.perf_counter() - started
        size, remark = _inspect(engine, image), "without a cache of layers"
    except CompareError as error:
        size, remark = _size(image, None, str(error)), str(error)
    build_time = Figure(
        id=figure_id("cost", image, "image_build"),
        what=f"building the image {image}",
        value=seconds,
        unit="s",
        remark=remark,
    )
    return size, build_time


def _inspect(engine: Any, image: str) -> Figure:
    try:
        attributes = _call(lambda: engine.images.get(image).attrs)
        return _size(image, attributes["Size"] / 1e6, "unpacked")
    except CompareError as error:
        return _size(image, None, str(error))


def _call(what: Callable[[], Any]) -> Any:
    """Ask the engine; raises :class:`CompareError` with its words."""
    from docker.errors import DockerException

    try:
        return what()
    except (DockerException, OSError, TypeError) as error:  # TypeError: the context is no folder
        words = getattr(error, "explanation", None) or str(error) or type(error).__name__
        raise CompareError(f"the Docker engine refused: {str(words).splitlines()[0]}") from error


def _size(image: str, value: float | None, remark: str) -> Figure:
    return Figure(
        id=figure_id("cost", image, "image"),
        what=f"size of the image {image}",
        value=value,
        unit="MB",
        remark=remark,
    )
