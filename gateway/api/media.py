"""The forms in which a model takes payloads: JSON, and where it looks at pictures also files."""

from __future__ import annotations

from aiohttp import web

from gateway.api.forms import MULTIPART, read_form
from gateway.errors import UnsupportedMediaType
from gateway.models.image_feature import MEDIA_TYPES
from gateway.models.manifest import Manifest
from gateway.models.rows import Rows
from gateway.models.validator import Validator

JSON = "application/json"


def media_types(manifest: Manifest) -> tuple[str, ...]:
    """What a body for this model may be; a bare picture only where it takes nothing else."""
    if not manifest.images:
        return (JSON,)
    if len(manifest.features) > 1:
        return JSON, MULTIPART
    return JSON, MULTIPART, *MEDIA_TYPES


def kind_of(content_type: str) -> str:
    """The media type of a ``Content-Type``, in lower case and without parameters.

    Both looks at a request must see the same, and none may take long: aiohttp's own ways need up to
    seconds, or all of the stack, for a header of 8190 bytes.
    """
    return content_type.partition(";")[0].strip().lower()


def is_json(content_type: str) -> bool:
    """Whether this ``Content-Type`` stands for JSON, whatever its parameters."""
    kind = kind_of(content_type)
    return kind == JSON or kind.endswith("+json")


def check_content_type(request: web.BaseRequest, manifest: Manifest) -> None:
    """Raise :class:`UnsupportedMediaType` unless the model takes the body, or it may be JSON."""
    sent = request.headers.get("Content-Type")
    if sent is None:
        return
    if is_json(sent):
        return
    allowed = media_types(manifest)
    if kind_of(sent) not in allowed:
        raise UnsupportedMediaType(sent, allowed)


def read_rows(validator: Validator, content_type: str, body: bytes) -> Rows:
    """Rows of a body of this ``Content-Type``, which must have passed the check above.

    Raises :class:`InvalidRequest` or :class:`InvalidInput` naming each field that does not fit.
    """
    kind = kind_of(content_type)
    if kind == MULTIPART:
        return validator.convert([read_form(validator.manifest, content_type, body)], "")
    if kind in MEDIA_TYPES:
        (feature,) = validator.manifest.features
        return validator.convert([{feature.name: body}], "")
    return validator.decode(body)
