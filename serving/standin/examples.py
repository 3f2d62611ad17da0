"""Classify and regress requests and replies between JSON and ``tf.Example`` protos.

Source: ``tensorflow_serving/util/json_tensor.cc``; the context is merged into each example by
concatenating the serialized protos, as ``servables/tensorflow/util.cc`` does.
"""

from __future__ import annotations

from typing import Any, NoReturn

from tensorflow.core.example.example_pb2 import Example
from tensorflow.core.example.feature_pb2 import Feature

from serving.standin import jsonwrite, tensors
from serving.standin.codec import plain_list
from serving.standin.status import invalid_argument
from serving.standin.tensors import Array, json_type

_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def decode_examples(document: dict[str, Any]) -> list[bytes]:
    """The serialized ``tf.Example`` of each entry of ``examples``, context included.

    Raises ``ServingError`` ``INVALID_ARGUMENT``.
    """
    context = b""
    if "context" in document:
        context = _example(document["context"]).SerializeToString()
    if "examples" not in document:
        _format_error(
            document, "When method is classify, key 'examples' is expected and was not found"
        )
    entries = document["examples"]
    if not isinstance(entries, list):
        _format_error(document, "Expecting 'examples' value to be an list/array")
    if not entries:
        _format_error(document, "'examples' value is an empty array")
    return [context + _example(entry).SerializeToString() for entry in entries]


def _format_error(value: Any, text: str) -> NoReturn:
    raise invalid_argument(f"JSON Value: {jsonwrite.echo(value)} {text}")


def _example(entry: Any) -> Any:
    if not isinstance(entry, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {json_type(entry)}")
    example = Example()
    for name, content in entry.items():
        feature = Feature()
        for value in content if isinstance(content, list) else [content]:
            _add(value, name, feature)
        example.features.feature[name].CopyFrom(feature)
    return example


def _add(value: Any, name: str, feature: Any) -> None:
    """``AddValueToFeature``: whole numbers and booleans are int64, strings bytes, else float."""
    if value is None or isinstance(value, list) or _is_other_object(value):
        raise invalid_argument(
            f"Feature: {name} has element with unexpected JSON type: {json_type(value)}"
        )
    if isinstance(value, str):
        _values(feature, "bytes_list", name).append(tensors.text_bytes(value))
    elif isinstance(value, dict):
        _values(feature, "bytes_list", name).append(tensors.decode_base64(value))
    elif isinstance(value, float):
        target = _values(feature, "float_list", name)
        if not tensors.lossless(value, "float"):
            raise tensors.lossy_error(value, "float")
        target.append(value)
    else:
        target = _values(feature, "int64_list", name)
        if value >= 2**63:
            raise invalid_argument(f"Feature: {name} has uint64 element. Only int64 is supported.")
        target.append(int(value))


def _is_other_object(value: Any) -> bool:
    return isinstance(value, dict) and not tensors.is_base64(value)


def _values(feature: Any, kind: str, name: str) -> Any:
    """The feature's list of ``kind``; an error where it already holds another kind."""
    present = feature.WhichOneof("kind")
    if present is not None and present != kind:
        raise invalid_argument(
            f"Unexpected element type in feature: {name} expecting type: {_KINDS[present]}"
        )
    return getattr(feature, kind).value


def encode_classes(classes: Array | None, scores: Array | None) -> str:
    """The reply to classify: per example a list of ``[label, score]``.

    ``classes`` (bytes) and ``scores`` (float32) are (examples, classes), at least one is given;
    a missing label is ``""``, a missing score 0.
    """
    present = classes if classes is not None else scores
    assert present is not None
    results = []
    for row in range(present.shape[0]):
        pairs = []
        for column in range(present.shape[1]):
            label = b"" if classes is None else classes[row, column]
            score = 0.0 if scores is None else float(scores[row, column])
            text = jsonwrite.string(label.decode("utf-8", "surrogateescape"))
            pairs.append([text, jsonwrite.decimal(score, tensors.DTYPES["float"])])
        results.append(pairs)
    return plain_list("results", results)


def encode_regressions(values: Array) -> str:
    """The reply to regress: one float32 per example; ``values`` is (examples,)."""
    numbers = [jsonwrite.decimal(value, values.dtype) for value in values.tolist()]
    return f'{{\n    "results": {jsonwrite.render(numbers, inline=True)}\n}}'
