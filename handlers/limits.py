"""The gateway's limits on a request, from the environment variables that it reads itself."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gateway.errors import ConfigError, shorten
from gateway.models.image_feature import MAX_PIXELS
from gateway.models.validator import MAX_INSTANCES


def limits(environ: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """Rows of a request, and pixels of a picture, at most: what the gateway lets through is served.

    Raises :class:`ConfigError` where a variable holds no number above 0.
    """
    return (
        _number(environ, "GATEWAY_MAX_INSTANCES", MAX_INSTANCES),
        _number(environ, "GATEWAY_MAX_IMAGE_PIXELS", MAX_PIXELS),
    )


def _number(environ: Mapping[str, str], variable: str, default: int) -> int:
    text = environ.get(variable) or str(default)
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ConfigError(f"{variable}: is {shorten(text)!r}; allowed: a whole number above 0")
    return int(text)
