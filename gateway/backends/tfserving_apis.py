"""The generated messages and stubs of ``tensorflow-serving-api``, without TensorFlow itself.

They import ``tensorflow.core…_pb2``, plain generated modules inside the TensorFlow package, and so
would run that package's ``__init__``: 1,600 modules, 6 s, 600 MB. An empty module in its place,
which only knows where the package lies, lets them find their files and nothing more.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gateway.errors import ConfigError

_PACKAGE = "tensorflow"


@dataclass(frozen=True)
class Apis:
    """gRPC and the generated classes the adapter needs; none of them carries types."""

    grpc: Any
    PredictRequest: Any
    GetModelMetadataRequest: Any
    SignatureDefMap: Any
    GetModelStatusRequest: Any
    ModelVersionStatus: Any
    PredictionServiceStub: Any
    ModelServiceStub: Any


@functools.cache
def load_apis() -> Apis:
    """Import them; raises :class:`ConfigError` naming what to install where they are missing."""
    try:
        import grpc.aio

        with _unimported(_PACKAGE):
            from tensorflow_serving.apis import (
                get_model_metadata_pb2,
                get_model_status_pb2,
                model_service_pb2_grpc,
                predict_pb2,
                prediction_service_pb2_grpc,
            )
    except ImportError as error:
        raise ConfigError(
            f"TensorFlow Serving over gRPC needs packages that are not installed here ({error});"
            " install them with: pip install '.[grpc]'"
        ) from error
    return Apis(
        grpc,
        predict_pb2.PredictRequest,
        get_model_metadata_pb2.GetModelMetadataRequest,
        get_model_metadata_pb2.SignatureDefMap,
        get_model_status_pb2.GetModelStatusRequest,
        get_model_status_pb2.ModelVersionStatus,
        prediction_service_pb2_grpc.PredictionServiceStub,
        model_service_pb2_grpc.ModelServiceStub,
    )


@contextmanager
def _unimported(package: str) -> Iterator[None]:
    """Let submodules of ``package`` be imported without the package, unless it is already there.

    Afterwards the package itself can be imported as ever; it finds these submodules done.
    """
    spec = None if package in sys.modules else importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        yield
        return
    stub = types.ModuleType(package)
    stub.__path__ = list(spec.submodule_search_locations)
    sys.modules[package] = stub
    try:
        yield
    finally:
        del sys.modules[package]
