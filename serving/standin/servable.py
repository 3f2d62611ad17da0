"""One loaded version of a SavedModel, run through a TensorFlow session as TensorFlow Serving does.

Works for SavedModels of TensorFlow 1 and 2 alike. Checks and their wording follow
``tensorflow_serving/servables/tensorflow/{classifier,regressor,predict_util}.cc``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf.config_pb2 import CallableOptions

from serving.standin.codec import Tensor
from serving.standin.status import ServingError, invalid_argument
from serving.standin.tensors import Array

CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"

#: Names of the canonical codes 0–16, as ``absl::StatusCode`` numbers them.
_CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
    "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
#: TensorFlow's C++ names of types where its Python names differ.
_TYPE_NAMES = {"float16": "half", "float32": "float", "float64": "double"}


class Servable:
    """A SavedModel in a session of its own; not thread-safe, one caller at a time.

    ``intra_threads`` and ``inter_threads`` size the session's pools (0 lets TensorFlow choose),
    ``timeout_ms`` ends a run that takes longer with ``DEADLINE_EXCEEDED``. With ``check_methods``
    classify and regress demand a signature of their own method name
    (``--enable_signature_method_name_check``, off by default in the original).
    """

    def __init__(
        self,
        path: Path,
        *,
        intra_threads: int = 1,
        inter_threads: int = 1,
        timeout_ms: int = 30_000,
        check_methods: bool = False,
        tags: Sequence[str] = ("serve",),
    ) -> None:
        self._timeout_ms = timeout_ms
        self._check_methods = check_methods
        self._callables: dict[tuple[tuple[str, ...], tuple[str, ...]], Any] = {}
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        v1 = tf.compat.v1
        graph = tf.Graph()
        config = v1.ConfigProto(
            intra_op_parallelism_threads=intra_threads, inter_op_parallelism_threads=inter_threads
        )
        self._session = v1.Session(graph=graph, config=config)
        try:
            with graph.as_default():
                meta = v1.saved_model.load(self._session, list(tags), str(path))
        except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
            self._session.close()
            raise ServingError("NOT_FOUND", f"{path.name} cannot be loaded: {error}") from error
        self.signatures: dict[str, Any] = dict(meta.signature_def)

    def close(self) -> None:
        """Free the session; nothing may run afterwards."""
        self._callables.clear()
        self._session.close()

    def input_types(self, signature: str) -> dict[str, str]:
        """The signature's inputs in alphabetical order, with TensorFlow's names of their types."""
        if signature not in self.signatures:
            raise invalid_argument(
                f'Serving signature name: "{signature}" not found in signature def'
            )
        inputs = self.signatures[signature].inputs
        if not inputs:
            raise invalid_argument(f"Failed to get input map for signature: {signature}")
        return {name: type_name(inputs[name].dtype) for name in sorted(inputs)}

    def predict(
        self, signature: str, inputs: Mapping[str, Array], names: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """Run a signature; the outputs named, all of them in alphabetical order by default."""
        definition = self.signatures[signature]
        feeds = {definition.inputs[name].name: values for name, values in inputs.items()}
        if names is None:
            names = sorted(definition.outputs)
        results = self._run(feeds, [definition.outputs[name].name for name in names])
        return {
            name: Tensor(np.asarray(values), type_name(definition.outputs[name].dtype))
            for name, values in zip(names, results, strict=True)
        }

    def classify(
        self, signature: str, examples: Sequence[bytes]
    ) -> tuple[Array | None, Array | None]:
        """Labels (bytes) and scores (float32), each (examples, classes) or None if not given."""
        definition = self._definition(signature, CLASSIFY, "classification")
        found = set(definition.outputs)
        if len(found) not in (1, 2):
            raise invalid_argument(f"Expected one or two output Tensors, found {len(found)}")
        wanted = [name for name in ("classes", "scores") if name in found]
        if not wanted:
            raise invalid_argument(
                "Expected classification signature outputs to contain at least one of"
                f' "classes" or "scores". Signature was: {definition}'
            )
        fetches = [definition.outputs[name].name for name in wanted]
        results = dict(zip(wanted, self._run_examples(definition, examples, fetches), strict=True))
        for name, values in results.items():
            _check_classification(name, values, definition.outputs[name].dtype, len(examples))
        classes, scores = results.get("classes"), results.get("scores")
        if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
            raise invalid_argument(
                "Tensors class and score should match in dim_size(1)."
                f" Got {classes.shape[1]} vs. {scores.shape[1]}"
            )
        return classes, scores

    def regress(self, signature: str, examples: Sequence[bytes]) -> Array:
        """One float32 per example, (examples,)."""
        definition = self._definition(signature, REGRESS, "regression")
        if len(definition.outputs) != 1:
            raise invalid_argument("Expected one output Tensor.")
        if "outputs" not in definition.outputs:
            raise invalid_argument(f"No regression outputs found in SignatureDef: {definition}")
        output = definition.outputs["outputs"]
        (values,) = self._run_examples(definition, examples, [output.name])
        if values.ndim != 1 and not (values.ndim == 2 and values.shape[1] == 1):
            raise invalid_argument(
                "Expected output Tensor shape to be either [batch_size] or [batch_size, 1]"
                f" but got {list(values.shape)}"
            )
        if len(examples) != values.shape[0]:
            raise invalid_argument(
                "Input batch size did not match output batch size:"
                f" {len(examples)} vs. {values.shape[0]}"
            )
        if type_name(output.dtype) != "float":
            raise invalid_argument(
                f"Expected output Tensor of DT_FLOAT.  Got: {_enum_name(output.dtype)}"
            )
        return values.reshape(-1)

    def metadata(self) -> dict[str, Any]:
        """The signatures as proto3 JSON, every field printed, as ``…/metadata`` shows them."""
        return {
            name: json_format.MessageToDict(
                definition,
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )
            for name, definition in self.signatures.items()
        }

    def _definition(self, signature: str, method: str, kind: str) -> Any:
        if signature not in self.signatures:
            raise invalid_argument(f"No signature was found with the name: {signature}")
        definition = self.signatures[signature]
        if self._check_methods and definition.method_name != method:
            raise invalid_argument(
                f"Expected {kind} signature method_name to be {method}."
                f" Was: {definition.method_name}"
            )
        if len(definition.inputs) != 1:
            raise invalid_argument("Expected one input Tensor.")
        if "inputs" not in definition.inputs:
            raise invalid_argument(f"No {kind} inputs found in SignatureDef: {definition}")
        return definition

    def _run_examples(
        self, definition: Any, examples: Sequence[bytes], fetches: list[str]
    ) -> list[Array]:
        batch = np.empty(len(examples), object)
        batch[:] = examples
        feed = definition.inputs["inputs"].name
        return [np.asarray(values) for values in self._run({feed: batch}, fetches)]

    def _run(self, feeds: Mapping[str, Array], fetches: Sequence[str]) -> list[Any]:
        key = (tuple(feeds), tuple(fetches))
        if key not in self._callables:
            options = CallableOptions()
            options.feed.extend(feeds)
            options.fetch.extend(fetches)
            options.run_options.timeout_in_ms = self._timeout_ms
            # Session.run and make_callable check shapes in Python first and word the error in
            # their own way; this runs the graph with nothing in between, as C++ Session::Run does.
            self._callables[key] = self._session._make_callable_from_options(options)
        try:
            results: list[Any] = self._callables[key](*feeds.values())
        except tf.errors.OpError as error:
            code = error.error_code
            name = _CODES[code] if 0 < code < len(_CODES) else "UNKNOWN"
            raise ServingError(name, error.message) from error
        return results


def type_name(dtype: int) -> str:
    """TensorFlow's C++ name (``DataTypeString``) of a ``DataType`` enum value."""
    name: str = tf.dtypes.as_dtype(dtype).name
    return _TYPE_NAMES.get(name, name)


def _enum_name(dtype: int) -> str:
    return f"DT_{type_name(dtype).upper()}"


def _check_classification(name: str, values: Array, dtype: int, examples: int) -> None:
    if values.ndim != 2:
        raise invalid_argument(
            "Expected Tensor shape: [batch_size num_classes] but got"
            f" [{','.join(map(str, values.shape))}]"
        )
    expected = "string" if name == "classes" else "float"
    if type_name(dtype) != expected:
        raise invalid_argument(
            f"Expected {name} Tensor of DT_{expected.upper()}. Got: {_enum_name(dtype)}"
        )
    if values.shape[0] != examples:
        raise invalid_argument(
            f"Expected {name} output batch size of {examples}. Got: {values.shape[0]}"
        )
