"""Adapters of other packages that break: one line that names the entry point."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from gateway.backends.installed import GROUP, InstalledAdapter
from gateway.config import Settings
from gateway.errors import ConfigError

HERE = __name__


class Breaking:
    """Makes nothing."""

    @classmethod
    def from_settings(cls, settings: Settings) -> None:
        raise KeyError("token")


class Refusing:
    """Wants a setting."""

    @classmethod
    def from_settings(cls, settings: Settings) -> None:
        raise ConfigError("mine: say where it is")


class Bare:
    """No adapter at all."""


@pytest.mark.parametrize(
    ("adapter", "words"),
    [
        ("Breaking", rf"^backend mine: {HERE}:Breaking cannot be made: 'token'$"),
        ("Bare", rf"^backend mine: {HERE}:Bare cannot be made: .*from_settings"),
        ("Nowhere", rf"^backend mine: {HERE}:Nowhere cannot be imported: "),
        ("Refusing", r"^mine: say where it is$"),
    ],
)
def test_what_goes_wrong_names_the_entry_point(adapter: str, words: str) -> None:
    entry = EntryPoint("mine", f"{HERE}:{adapter}", GROUP)
    with pytest.raises(ConfigError, match=words):
        InstalledAdapter(entry).from_settings(Settings())
