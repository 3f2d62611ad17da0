"""The forms in which a model takes payloads: JSON, and where it looks at pictures also files."""

from __future__ import annotations

from aiohttp import web
from aiohttp.helpers import parse_mimetype

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


def check_content_type(request: web.BaseRequest, manifest: Manifest) -> None:
    """Raise :class:`UnsupportedMediaType` unless the model takes the body, or it may be JSON."""
    sent = request.headers.get("Content-Type")
    kind = request.content_type
    if sent is None or kind == JSON or kind.endswith("+json"):
        return
    allowed = media_types(manifest)
    if kind not in allowed:
        raise UnsupportedMediaType(sent, allowed)


def read_rows(validator: Validator, content_type: str, body: bytes) -> Rows:
    """Rows of a body of this ``Content-Type``, which must have passed the check above.

    Raises :class:`InvalidRequest` or :class:`InvalidInput` naming each field that does not fit.
    """
    parsed = parse_mimetype(content_type)
    kind = f"{parsed.type}/{parsed.subtype}"
    if kind == MULTIPART:
        return validator.convert([read_form(validator.manifest, content_type, body)], "")
    if kind in MEDIA_TYPES:
        (feature,) = validator.manifest.features
        return validator.convert([{feature.name: body}], "")
    return validator.decode(body)
