"""Predict requests and replies between JSON and named tensors.

The row form (``instances`` → ``predictions``) and the column form (``inputs`` → ``outputs``) of the
public REST documentation; wording of errors from ``tensorflow_serving/util/json_tensor.cc``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import numpy as np

from serving.standin import jsonparse, jsonwrite, tensors
from serving.standin.status import ServingError, invalid_argument
from serving.standin.tensors import Array

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named result: the values and TensorFlow's name of their type (``float``, ``string``, …)."""

    values: Array
    dtype: str


def parse_document(body: bytes) -> dict[str, Any]:
    """The JSON object in a request body of any of the three methods."""
    document = jsonparse.parse(body)
    if not isinstance(document, dict):
        _format_error(document, "Is not object")
    signature = document.get("signature_name", "")
    if not isinstance(signature, str):
        raise invalid_argument(
            f"JSON Value: {jsonwrite.echo(document)} not formatted correctly."
            " 'signature_name' key must be a string value."
        )
    return document


def signature_name(document: dict[str, Any]) -> str:
    """The signature a request asks for, the default one where it names none."""
    return document.get("signature_name") or DEFAULT_SIGNATURE


def decode_predict(
    document: dict[str, Any], inputs: Mapping[str, str]
) -> tuple[Literal["row", "column"], dict[str, Array]]:
    """The form and the input tensors of a predict request.

    ``inputs`` maps the signature's input names to their TensorFlow types. In row form every
    tensor's dimension 0 is the number of instances. Raises ``ServingError``.
    """
    if "instances" in document and "inputs" in document:
        _format_error(
            document,
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        )
    if "instances" in document:
        instances = document["instances"]
        if not isinstance(instances, list):
            _format_error(document, "Excepting 'instances' to be an list/array")
        if not instances:
            _format_error(document, "No values in 'instances' array")
        return "row", _decode_rows(instances, inputs)
    if "inputs" in document:
        return "column", _decode_columns(document["inputs"], inputs)
    raise invalid_argument("Missing 'inputs' or 'instances' key")


def _format_error(value: Any, text: str) -> NoReturn:
    raise invalid_argument(f"JSON Value: {jsonwrite.echo(value)} {text}")


def _decode_columns(value: Any, inputs: Mapping[str, str]) -> dict[str, Array]:
    if not isinstance(value, dict) or tensors.is_base64(value):
        if len(inputs) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input"
                " tensors required as per tensorinfo_map"
            )
        value = dict.fromkeys(inputs, value)
    for name in inputs:
        if name not in value:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
    return {name: tensors.to_tensor(value[name], dtype) for name, dtype in inputs.items()}


def _decode_rows(instances: list[Any], inputs: Mapping[str, str]) -> dict[str, Array]:
    if len(inputs) > 1 and not isinstance(instances[0], dict):
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors"
            " required as per tensorinfo_map"
        )
    if _is_object(instances[0]):
        for position, row in enumerate(instances):
            _check_names(position, row, inputs)
        columns = {name: [row[name] for row in instances] for name in inputs}
    else:
        for position, row in enumerate(instances):
            if _is_object(row):
                raise invalid_argument(
                    f"Expecting value/list but got object at item {position} of input list"
                )
        columns = {next(iter(inputs)): instances}
    named = _is_object(instances[0])
    return {
        name: _decode_column(column, inputs[name], name if named else None)
        for name, column in columns.items()
    }


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not tensors.is_base64(value)


def _check_names(position: int, row: Any, inputs: Mapping[str, str]) -> None:
    if not _is_object(row):
        raise invalid_argument(f"Expecting object but got list at item {position} of input list")
    for name in row:
        if name not in inputs:
            raise invalid_argument(
                f"Failed to process element: {position} key: {name} of 'instances' list. Error:"
                f" INVALID_ARGUMENT: JSON object: does not have named input: {name}"
            )
    if len(row) != len(inputs):
        raise invalid_argument(
            f"Failed to process element: {position} of 'instances' list. JSON object:"
            f" {jsonwrite.echo(row)} keys must be equal to: {','.join(sorted(inputs))}"
        )


def _decode_column(column: list[Any], dtype: str, name: str | None) -> Array:
    """One value per instance, stacked; on an error, the instance and key at fault are named."""
    try:
        return tensors.to_tensor(column, dtype)
    except ServingError:
        return np.stack(_decode_each(column, dtype, name))


def _decode_each(column: list[Any], dtype: str, name: str | None) -> list[Array]:
    """``AddInstanceItem`` for every instance: each must have the first one's size and shape."""
    rows: list[Array] = []
    for position, value in enumerate(column):
        try:
            row = tensors.to_tensor(value, dtype)
            if rows and row.size != rows[0].size:
                raise invalid_argument(f"Expecting tensor size: {rows[0].size} but got: {row.size}")
            if rows and row.shape != rows[0].shape:
                raise invalid_argument(
                    f"Expecting shape {_shape_text(rows[0])} but got: {_shape_text(row)}"
                )
        except ServingError as error:
            key = "" if name is None else f" key: {name}"
            raise invalid_argument(
                f"Failed to process element: {position}{key} of 'instances' list. Error: {error}"
            ) from None
        rows.append(row)
    return rows


def _shape_text(tensor: Array) -> str:
    return "[" + ",".join(map(str, tensor.shape)) + "]"


def encode_predict(form: Literal["row", "column"], outputs: Mapping[str, Tensor]) -> str:
    """The reply to a predict request, as text.

    A single output stands without its name; several become one object per row in row form, one
    object of columns in column form. Raises ``ServingError`` where the row form is impossible.
    """
    if not outputs:
        raise invalid_argument("Cannot convert empty tensor map to JSON")
    if form == "row":
        _check_batch(outputs)
    columns = {
        name: tensors.to_tokens(tensor.values, tensor.dtype, name)
        for name, tensor in outputs.items()
    }
    single = next(iter(columns.values())) if len(columns) == 1 else None
    if form == "column":
        return jsonwrite.render({"outputs": columns if single is None else single})
    if single is None:
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return _rows_of_objects(rows)
    return plain_list("predictions", single)


def _check_batch(outputs: Mapping[str, Tensor]) -> None:
    batch: int | None = None
    for name, tensor in outputs.items():
        if tensor.values.ndim == 0:
            raise invalid_argument(f"Tensor name: {name} has no shape information ")
        size = tensor.values.shape[0]
        if batch is not None and batch != size:
            raise invalid_argument(
                f"Tensor name: {name} has inconsistent batch size: {size} expecting: {batch}"
            )
        batch = size


def _rows_of_objects(rows: list[dict[str, Any]]) -> str:
    # Lists inside a row stay on one line, the rows themselves do not.
    return jsonwrite.render(
        {"predictions": [jsonwrite.render(row, 2, inline=True) for row in rows]}
    )


def plain_list(key: str, items: list[Any]) -> str:
    """``{key: items}`` with everything on one line but the closing brackets, as the original."""
    if not items:
        return jsonwrite.render({key: items})
    text = ", ".join(jsonwrite.render(item, 2, inline=True) for item in items)
    return f'{{\n    "{key}": [{text}\n    ]\n}}'


def encode_error(message: str) -> str:
    """The body of every error reply: ``{"error": message}``."""
    return jsonwrite.render({"error": jsonwrite.string(message)})
