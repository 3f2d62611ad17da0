"""Java properties files, as far as TorchServe's configuration needs them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from serving.launch.errors import LaunchError

_CONTINUED = re.compile(r"\\\n[ \t]*")


def read_properties(path: Path) -> dict[str, str]:
    """``key=value`` lines; ``#`` and ``!`` comment, a backslash at the end continues the line.

    Raises :class:`LaunchError` where the file cannot be read or a line is no setting.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LaunchError(f"{path} cannot be read: {error}") from error
    settings = {}
    for line in map(str.strip, _CONTINUED.sub("", text).splitlines()):
        if line and line[0] not in "#!":
            key, equals, value = line.partition("=")
            if not equals:
                raise LaunchError(f"{path}: expected key=value, found: {line}")
            settings[key.strip()] = value.strip()
    return settings


def write_properties(path: Path, settings: Mapping[str, str]) -> None:
    """One ``key=value`` line each; backslashes are escaped, as Java reads them."""
    lines = [f"{key}={value}".replace("\\", "\\\\") for key, value in settings.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
