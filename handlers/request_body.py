"""From one request, as TorchServe hands it to a handler, to rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.errors import InvalidRequest
from gateway.models.image_feature import SIGNATURES
from gateway.models.payload import BODY, instances, parse
from gateway.models.rows import Rows
from gateway.models.validator import Validator


def read_rows(request: Mapping[str, Any], validator: Validator) -> tuple[Rows, bool]:
    """The rows of a request, and whether it is answered by a list.

    Takes what the gateway takes, one object of features or ``{"instances": [ {…}, … ]}``, and a
    bare list of objects. TorchServe puts the body under "body" (under "data" in a form): parsed
    where it is declared as JSON and can be parsed, else its bytes, or text for text types. A model
    of one picture also takes the picture itself, as the body or as a form's file of its name.

    Raises:
        InvalidRequest: there is no body, or it is no such JSON.
        InvalidInput: fields do not fit; names each.
    """
    picture = _picture(request, validator)
    if picture is not None:
        return validator.convert([picture], ""), False
    body = request.get("body", request.get("data"))
    if body is None:
        detail = f"there is none, or it is not declared as application/json; allowed: {BODY}"
        raise InvalidRequest(f"body: {detail}", field="body", allowed=BODY)
    if isinstance(body, str):
        body = body.encode("utf-8", "surrogatepass")
    content = parse(bytes(body)) if isinstance(body, bytes | bytearray) else body
    if isinstance(content, list):
        return validator.convert(content), True
    rows, pointer = instances(content)
    return validator.convert(rows, pointer), bool(pointer)


def _picture(request: Mapping[str, Any], validator: Validator) -> dict[str, bytes] | None:
    """The request as one object, where it is the picture the model takes and nothing else."""
    features = validator.manifest.features
    if len(features) > 1 or not validator.manifest.images:
        return None
    name = features[0].name
    sent = request.get(name, request.get("body", request.get("data")))
    if not isinstance(sent, bytes | bytearray):
        return None
    encoded = bytes(sent)
    return {name: encoded} if name in request or encoded.startswith(SIGNATURES) else None
