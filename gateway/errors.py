"""Every error the gateway raises on purpose, and its one mapping to RFC 9457 problem JSON.

::

    GatewayError                    500
    ├── InvalidRequest              400  the request cannot be understood
    │   ├── InvalidInput            422  it is JSON, but not what the model's manifest describes
    │   ├── Unauthorized            401  no API key, or none that is known
    │   ├── Forbidden               403  the API key does not allow this
    │   ├── MethodNotAllowed        405
    │   ├── RequestTimeout          408  the request had not come whole in time
    │   ├── BodyTooLarge            413
    │   ├── UnsupportedMediaType    415
    │   └── RateLimited             429  the API key's requests come too fast
    ├── NotFound                    404  says what there is instead
    ├── BackendError                502  the backend answered, and its answer was an error
    │   ├── BackendUnavailable      503  it cannot be reached, or refuses for the moment
    │   │   └── Overloaded          503  its queue in the gateway is full
    │   ├── BackendTimeout          504  it did not answer within the deadline
    │   └── InputRefused            422  it cannot compute with what the request holds
    ├── ModelError                  500  a model folder that cannot be served
    ├── ConfigError                 500  a setting that cannot be used
    └── TooManyConnections          503  the gateway has as many clients as it may have

This file is also packed into the TorchServe archive (the handler raises the same ``InvalidInput``),
so it imports nothing but the standard library.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

#: How many field errors one answer lists; the rest are counted.
MAX_FIELD_ERRORS = 20
#: How many characters of a refused value are echoed.
MAX_SENT_CHARS = 80

#: Why a field does not fit: it is missing, or not one of the model's; it is of another JSON type;
#: its dtype cannot carry it; it is no known category; it lies outside the training range, where
#: the model refuses that; a tensor of another shape; no Unicode text; too many rows, or none; no
#: picture, or one that is too large; the model's engine cannot compute with it.
Misfit = Literal[
    "missing", "unknown-field", "type", "dtype", "category", "range", "shape", "text", "rows",
    "image", "engine",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field of one row that does not fit.

    ``pointer`` is an RFC 6901 JSON pointer into the body, ``kind`` is for programs what ``detail``
    is for people, ``sent`` a shortened echo of the value.
    """

    pointer: str
    field: str
    kind: Misfit
    detail: str
    allowed: str
    sent: str | None = None

    def as_dict(self) -> dict[str, str]:
        """The entry as it stands in the answer's ``errors`` list."""
        entry = {"pointer": self.pointer, "field": self.field, "kind": self.kind}
        entry["detail"] = self.detail
        if self.sent is not None:
            entry["sent"] = self.sent
        entry["allowed"] = self.allowed
        return entry


class GatewayError(Exception):
    """Base of the tree: ``status`` and ``title`` belong to the class, ``detail`` to the case."""

    status = 500
    title = "Internal error"
    slug = "internal"
    #: Whether the log gets a line for each; otherwise they are only counted.
    logged = True

    def __init__(self, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        #: Extension members of the problem document (RFC 9457 section 3.2).
        self.members = members

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers that belong to this error."""
        return {}

    def problem(self, request_id: str | None = None) -> dict[str, Any]:
        """The RFC 9457 document, ready to be encoded as ``application/problem+json``."""
        document: dict[str, Any] = {
            "type": f"urn:problem-type:gateway:{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }
        if request_id is not None:
            document["request_id"] = request_id
        return document


class InvalidRequest(GatewayError):
    """The request cannot be understood: not JSON, not UTF-8, nested too deep, a bad parameter."""

    status = 400
    title = "The request cannot be understood"
    slug = "invalid-request"


class InvalidInput(InvalidRequest):
    """The body is JSON but does not fit the model's manifest; ``errors`` names each field."""

    status = 422
    title = "The input does not fit the model"
    slug = "invalid-input"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = list(errors)
        first = self.errors[0]
        detail = f"{first.field}: {first.detail}; allowed: {first.allowed}"
        members: dict[str, Any] = {
            "errors": [error.as_dict() for error in self.errors[:MAX_FIELD_ERRORS]]
        }
        if len(self.errors) > 1:
            detail += f" (and {len(self.errors) - 1} more)"
        if len(self.errors) > MAX_FIELD_ERRORS:
            members["errors_omitted"] = len(self.errors) - MAX_FIELD_ERRORS
        super().__init__(detail, **members)


class Unauthorized(InvalidRequest):
    """No API key was sent, or none that is known."""

    status = 401
    title = "An API key is needed"
    slug = "unauthorized"

    def __init__(self, sent: bool) -> None:
        self._sent = sent
        super().__init__(
            "the API key is not known"
            if sent
            else "send an API key, as Authorization: Bearer <key> or X-API-Key: <key>"
        )

    @property
    def headers(self) -> dict[str, str]:
        # https://www.rfc-editor.org/rfc/rfc6750#section-3
        challenge = 'Bearer realm="gateway"'
        return {"WWW-Authenticate": challenge + ', error="invalid_token"' * self._sent}


class Forbidden(InvalidRequest):
    """It is known who asks, and that they may not."""

    status = 403
    title = "This is not allowed"
    slug = "forbidden"


class RequestTimeout(InvalidRequest):
    """The head or the body had not come within its time, in seconds."""

    status = 408
    title = "The request came too slowly"
    slug = "request-timeout"

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"the request had not come whole after {limit_s:g} s")

    @property
    def headers(self) -> dict[str, str]:
        return {"Connection": "close"}


class RateLimited(InvalidRequest):
    """An API key's requests come faster than it may send them; ``wait_s`` in seconds."""

    status = 429
    title = "Too many requests"
    slug = "rate-limited"

    def __init__(self, key: str, rate: float, wait_s: float) -> None:
        super().__init__(f"API key {key}: {rate:g} requests a second are allowed")
        self._wait_s = wait_s

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(max(math.ceil(self._wait_s), 1))}


class MethodNotAllowed(InvalidRequest):
    """The path exists, the method does not."""

    status = 405
    title = "Method not allowed"
    slug = "method-not-allowed"

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(
            f"{method} is not possible here; allowed: {', '.join(allowed)}", allowed=list(allowed)
        )

    @property
    def headers(self) -> dict[str, str]:
        return {"Allow": ", ".join(self.members["allowed"])}


class BodyTooLarge(InvalidRequest):
    """The body is over the limit, in bytes."""

    status = 413
    title = "The body is too large"
    slug = "body-too-large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body may be {limit} bytes long at most", limit_bytes=limit)


class UnsupportedMediaType(InvalidRequest):
    """The body is in a form this door does not read."""

    status = 415
    title = "Unsupported media type"
    slug = "unsupported-media-type"

    def __init__(self, sent: str, allowed: Sequence[str]) -> None:
        super().__init__(
            f"Content-Type {shorten(sent)!r} is not read here; allowed: {', '.join(allowed)}",
            allowed=list(allowed),
        )


class NotFound(GatewayError):
    """Something was named that is not there; ``allowed`` lists what is."""

    status = 404
    title = "Not found"
    slug = "not-found"

    def __init__(self, kind: str, name: str, allowed: Sequence[str], where: str = "") -> None:
        there = ", ".join(allowed) or "none"
        super().__init__(
            f"no {kind} {shorten(name)!r}{where}; there is: {there}",
            field=kind,
            allowed=list(allowed),
        )


class BackendError(GatewayError):
    """A backend failed; ``backend`` names it and ``detail`` carries its own words."""

    status = 502
    title = "The backend failed"
    slug = "backend-error"
    #: Whether a row of one request may be at fault, so that its neighbours in the batch are worth a
    #: call each. Unreachable or late, a backend would be so for each of them.
    by_a_row = True

    def __init__(self, backend: str, detail: str) -> None:
        super().__init__(f"{backend}: {detail}", backend=backend)


class BackendUnavailable(BackendError):
    """The backend cannot be reached, or says that it has no room; worth another try."""

    status = 503
    title = "The backend is unavailable"
    slug = "backend-unavailable"
    by_a_row = False
    retry_after_s = 1

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after_s)}


class Overloaded(BackendUnavailable):
    """More rows wait for the backend than may; refused at once rather than kept waiting."""

    title = "Too much is waiting"
    slug = "overloaded"
    logged = False  # there are many at a time, each of them as it should be

    def __init__(self, backend: str, reason: str) -> None:
        super().__init__(backend, f"{reason}; try again in a moment")


class BackendTimeout(BackendError):
    """The backend did not answer within the request's deadline."""

    status = 504
    title = "The backend did not answer in time"
    slug = "backend-timeout"
    by_a_row = False


class InputRefused(BackendError):
    """The engine says that it cannot compute with what the request holds, which fits the manifest.

    An index beyond an embedding, dimensions that had to be equal: nobody else is asked instead.
    """

    status = 422
    title = InvalidInput.title
    slug = "input-refused"

    def __init__(self, backend: str, detail: str) -> None:
        super().__init__(backend, detail)
        allowed = "values the model can compute with"
        self.members["errors"] = [FieldError("", "body", "engine", detail, allowed).as_dict()]


class ModelError(GatewayError):
    """A model folder, manifest or graph that cannot be served."""

    title = "The model cannot be served"
    slug = "model-error"


class ConfigError(GatewayError):
    """A setting that cannot be used."""

    title = "The configuration cannot be used"
    slug = "config-error"


class TooManyConnections(GatewayError):
    """As many clients are connected as may be, and none of them is idle."""

    status = 503
    title = "Too many connections"
    slug = "too-many-connections"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} clients are connected already; try again in a moment")

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": "1", "Connection": "close"}


def words_of(error: BaseException) -> str:
    """What an error says; its type where it says nothing."""
    return str(error) or type(error).__name__


def shorten(value: object, limit: int = MAX_SENT_CHARS) -> str:
    """An echo of a client's value, short enough for an error message or a log line.

    Lone surrogates, which JSON can spell and UTF-8 cannot, are spelled out.
    """
    text = value if isinstance(value, str) else repr(value)
    text = text if len(text) <= limit else text[:limit] + "…"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
