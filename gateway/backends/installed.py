"""Adapters of other packages: the entry point group ``gateway.backends``.

An adapter is imported when a manifest names it, so that one that is broken or slow to import
costs nobody else anything.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from gateway.backends.base import Backend
from gateway.backends.schemes import Adapter
from gateway.config import Settings
from gateway.errors import ConfigError, words_of

GROUP = "gateway.backends"


class InstalledAdapter:
    """The adapter an entry point leads to; the point's name is the backend's."""

    def __init__(self, entry: EntryPoint) -> None:
        self._entry = entry

    def from_settings(self, settings: Settings) -> Backend:
        """The backend as the settings describe it; raises :class:`ConfigError`."""
        where = f"backend {self._entry.name}: {self._entry.value}"
        try:
            adapter = self._entry.load()
        except Exception as error:  # whatever a foreign module does when it is imported
            raise ConfigError(f"{where} cannot be imported: {words_of(error)}") from error
        try:
            backend = adapter.from_settings(settings)
        except ConfigError:
            raise
        except Exception as error:  # whatever a foreign class does when it is made
            raise ConfigError(f"{where} cannot be made: {words_of(error)}") from error
        if not isinstance(backend, Backend):
            raise ConfigError(f"{where} makes a {type(backend).__name__}, which is no Backend")
        if backend.name != self._entry.name:
            raise ConfigError(f"{where} calls itself {backend.name!r}")
        return backend


def installed() -> dict[str, Adapter]:
    """The adapters of the packages installed here, by the name of their backend."""
    return {entry.name: InstalledAdapter(entry) for entry in entry_points(group=GROUP)}
