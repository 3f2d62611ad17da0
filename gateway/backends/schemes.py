"""One backend that several protocols lead to: the scheme of its URL says which adapter it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from yarl import URL

from gateway.backends.base import Backend
from gateway.config import Settings, mask
from gateway.errors import ConfigError, shorten


class Adapter(Protocol):
    """What the router makes backends with: an adapter's class, or a choice of several."""

    def from_settings(self, settings: Settings) -> Backend:
        """The backend as the settings describe it; raises :class:`ConfigError`."""
        ...


class ByScheme:
    """The adapter of the scheme of a setting's URL; ``url`` reads the setting."""

    def __init__(
        self, name: str, url: Callable[[Settings], str], adapters: Mapping[str, Adapter]
    ) -> None:
        self.name = name
        self._url = url
        self._adapters = dict(adapters)

    def from_settings(self, settings: Settings) -> Backend:
        """The backend as the settings describe it; raises :class:`ConfigError`."""
        url = self._url(settings)
        adapter = self._adapters.get(URL(url).scheme)
        if adapter is None:
            forms = " or ".join(f"{scheme}://host:port" for scheme in self._adapters)
            raise ConfigError(f"{self.name}: {shorten(mask(url))!r} is not a URL like {forms}")
        return adapter.from_settings(settings)
