"""The structured log: one JSON object a line, on stderr.

No header and no payload is ever logged: a line holds what :func:`request_fields` takes.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp.http_exceptions import HttpProcessingError

from gateway.errors import shorten

logger = logging.getLogger("gateway")
_MAX_PATH_CHARS = 200


def request_fields(
    *,
    request_id: str,
    method: str,
    path: str,
    status: int,
    client: str | None,
    trace_id: str | None = None,
    seconds: float | None = None,
    model: str = "",
    version: str = "",
    backend: str = "",
    lineage: str = "",
    rows: int = 0,
    tried: Sequence[str] = (),
) -> dict[str, object]:
    """The members of a request's line; what is empty is left out.

    ``path`` comes without the query. ``backend`` and ``lineage`` are those that answered, or were
    asked last; ``tried`` names the backends that were asked, in order, where there were several.
    """
    fields: dict[str, object] = {
        "request_id": request_id,
        "trace_id": trace_id,
        "method": method,
        "path": shorten(path, _MAX_PATH_CHARS),
        "status": status,
        "duration_ms": None if seconds is None else round(seconds * 1000, 3),
        "client": client,
        "model": model or None,
        "version": version or None,
        "backend": backend or None,
        "lineage": lineage or None,
        "rows": rows or None,
        "tried": list(tried) if len(tried) > 1 else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


class JSONFormatter(logging.Formatter):
    """One JSON object a line; ``extra={"fields": {…}}`` adds members."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            error = record.exc_info[1]
            if isinstance(error, HttpProcessingError):
                # A request that is no HTTP. aiohttp quotes the bytes at fault, which may be those
                # of a header that holds a credential.
                entry["exception"] = type(error).__name__
            else:
                entry["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry).decode()


def configure_logging(level: str) -> None:
    """Log the gateway's and aiohttp's messages as JSON lines to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
