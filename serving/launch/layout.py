"""``python -m serving.launch.layout REPOSITORY FOLDER``: links as TensorFlow Serving wants them.

It looks for ``FOLDER/<model>/<version>/saved_model.pb``, where a repository has the SavedModel in a
folder of its own below the version. ``FOLDER/models.config`` lists the models. What a server reads
meanwhile stays: links are added first, and removed where a version has gone. As many versions of a
model are laid out as the gateway keeps: its setting ``versions_kept``.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from gateway.config import load
from gateway.errors import ConfigError
from serving.launch.errors import LaunchError
from serving.launch.repository import saved_models
from serving.launch.tfserving import write_config


def arrange(repository: Path, folder: Path, kept: int) -> dict[str, list[str]]:
    """Lay out the ``kept`` newest versions of every SavedModel: its name → those versions.

    Raises :class:`LaunchError` where the repository cannot be read; one without a SavedModel is
    laid out as an empty list.
    """
    # A link that says a relative path means it from the folder in which the link lies.
    repository, folder = repository.absolute(), folder.absolute()
    newest = {
        name: dict(sorted(versions.items(), key=lambda one: int(one[0]))[-kept:])
        for name, versions in saved_models(repository, required=False).items()
    }
    for name, versions in newest.items():
        _link(versions, folder / name)
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name not in newest:
            shutil.rmtree(entry)
    write_config(folder, str(folder), "model_version_policy { all {} }")
    return {name: list(versions) for name, versions in newest.items()}


def _link(versions: Mapping[str, Path], folder: Path) -> None:
    """Have the folder hold a link to each of the SavedModels, by its version, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for version, saved_model in versions.items():
        link = folder / version
        if not (link.is_symlink() and link.readlink() == saved_model):
            link.unlink(missing_ok=True)
            link.symlink_to(saved_model, target_is_directory=True)
    for entry in folder.iterdir():
        if entry.name not in versions:
            entry.unlink()


def main(repository: str, folder: str) -> None:
    """Lay out the repository and say what there is."""
    try:
        found = arrange(Path(repository), Path(folder), load().versions_kept)
    except (ConfigError, LaunchError, OSError) as error:
        sys.exit(f"error: {error}")
    for name, versions in found.items():
        print(f"{name}: versions {', '.join(versions)}")
    if not found:
        print(f"no SavedModel in {repository}: TensorFlow Serving has nothing to serve")


if __name__ == "__main__":
    main(*sys.argv[1:])
