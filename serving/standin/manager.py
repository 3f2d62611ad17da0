"""Which versions of which models are served: a folder per model, a numbered folder per version.

As the original does without a configuration file, only the newest version is served; a newer one
that appears is loaded beside it and takes over once it is available. Wording of errors from
``core/basic_manager.cc``, ``model_servers/server_core.cc`` and ``get_model_status_impl.cc``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from serving.standin.servable import Servable
from serving.standin.status import ServingError, invalid_argument

logger = logging.getLogger(__name__)

State = Literal["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]


@dataclass(frozen=True, slots=True)
class Version:
    """One version's state; ``error_code`` and ``error_message`` say why a load failed."""

    number: int
    state: State
    error_code: str = "OK"
    error_message: str = ""
    servable: Servable | None = None
    #: Modification time of ``saved_model.pb`` when it was last tried, in ns; None if missing.
    tried: int | None = None


class ModelManager:
    """Loads and finds versions.

    ``load`` makes a servable from a version's folder, ``retire`` is given each one that is no
    longer found by :meth:`get`. ``labels`` maps model → label → version number. With ``keep``
    ``"all"`` every version is served, else only the newest. :meth:`refresh` may run in a thread
    of its own while others read.
    """

    def __init__(
        self,
        bases: Mapping[str, Path],
        load: Callable[[Path], Servable],
        retire: Callable[[Servable], object],
        labels: Mapping[str, Mapping[str, int]] | None = None,
        keep: Literal["latest", "all"] = "latest",
    ) -> None:
        self._bases = dict(bases)
        self._load = load
        self._retire = retire
        self._labels = labels or {}
        self._keep = keep
        self._versions: dict[str, dict[int, Version]] = {name: {} for name in bases}

    def refresh(self) -> None:
        """Load what is new on disk, retire what is superseded or gone."""
        for name, base in self._bases.items():
            self._refresh_model(name, base)

    def _refresh_model(self, name: str, base: Path) -> None:
        on_disk = sorted(_version_numbers(base), reverse=True)
        wanted = on_disk if self._keep == "all" else on_disk[:1]
        for number in wanted:
            known = self._versions[name].get(number)
            stamp = _stamp(base / _folder_name(base, number))
            if known is None or (known.servable is None and known.tried != stamp):
                self._load_version(name, number, base, stamp)
        states = self._versions[name]
        if all(number in states and states[number].servable is not None for number in wanted):
            for number in set(states) - set(wanted):
                self._unload_version(name, number)

    def _load_version(self, name: str, number: int, base: Path, stamp: int | None) -> None:
        self._set(name, Version(number, "LOADING", tried=stamp))
        try:
            servable = self._load(base / _folder_name(base, number))
        except ServingError as error:
            logger.error("model %s version %d: %s", name, number, error.message)
            self._set(name, Version(number, "END", error.code, error.message, tried=stamp))
            return
        self._set(name, Version(number, "AVAILABLE", servable=servable, tried=stamp))
        logger.info("model %s version %d is available", name, number)

    def _unload_version(self, name: str, number: int) -> None:
        version = self._versions[name][number]
        if version.state == "END":
            return
        self._set(name, replace(version, state="END", servable=None))
        if version.servable is not None:
            self._retire(version.servable)
        logger.info("model %s version %d is unloaded", name, number)

    def _set(self, name: str, version: Version) -> None:
        # Replaced as a whole: readers in other threads see the old mapping or the new one.
        self._versions[name] = {**self._versions[name], version.number: version}

    def get(self, name: str, version: int | None, label: str | None) -> tuple[int, Servable]:
        """The number and the servable of a version; of the newest if none is named.

        Raises :class:`ServingError` ``NOT_FOUND``, or ``INVALID_ARGUMENT`` for an unknown label.
        """
        if label is not None:
            version = self._labelled(name, label)
        for number, known in sorted(self._versions.get(name, {}).items(), reverse=True):
            if known.servable is not None and version in (None, number):
                return number, known.servable
        wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        raise ServingError("NOT_FOUND", f"Servable not found for request: {wanted}")

    def status(self, name: str, version: int | None, label: str | None) -> list[Version]:
        """The states of a model's versions, newest first, or of the one named.

        Raises :class:`ServingError` as :meth:`get` does.
        """
        if label is not None:
            version = self._labelled(name, label)
        states = self._versions.get(name, {})
        if version is None:
            if not states:
                raise ServingError("NOT_FOUND", f"Could not find any versions of model {name}")
            return [states[number] for number in sorted(states, reverse=True)]
        if version not in states:
            raise ServingError("NOT_FOUND", f"Could not find version {version} of model {name}")
        return [states[version]]

    def _labelled(self, name: str, label: str) -> int:
        if label not in self._labels.get(name, {}):
            raise invalid_argument(f"Unrecognized servable version label: {label}")
        return self._labels[name][label]


def _version_numbers(base: Path) -> list[int]:
    """Numbers of the version folders below ``base``; other names are not versions."""
    if not base.is_dir():
        return []
    return [int(entry.name) for entry in base.iterdir() if _is_version(entry)]


def _is_version(entry: Path) -> bool:
    return entry.name.isascii() and entry.name.isdigit() and entry.is_dir()


def _folder_name(base: Path, number: int) -> str:
    """The folder of a version: its number may be written with leading zeros, as in 00000123."""
    names = (entry.name for entry in base.iterdir() if _is_version(entry))
    return next((name for name in names if int(name) == number), str(number))


def _stamp(folder: Path) -> int | None:
    try:
        return (folder / "saved_model.pb").stat().st_mtime_ns
    except OSError:
        return None
