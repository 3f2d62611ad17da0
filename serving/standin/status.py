"""Errors with the canonical codes of TensorFlow Serving and the HTTP status of each.

Source of the mapping: ``tensorflow_serving/model_servers/http_server.cc``, ``ToHTTPStatusCode``.
"""

from __future__ import annotations

#: HTTP status of each canonical code; every other code is a 500.
HTTP_STATUS = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "UNAUTHENTICATED": 401,
}


class ServingError(Exception):
    """An error a client is told of; ``code`` is a canonical code such as ``NOT_FOUND``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def http_status(self) -> int:
        """The HTTP status the code is answered with."""
        return HTTP_STATUS.get(self.code, 500)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def invalid_argument(message: str) -> ServingError:
    """The error of nearly every request that cannot be used."""
    return ServingError("INVALID_ARGUMENT", message)
