"""Subjects to compare without servers: the committed graph, and what can go wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from gateway.models.graph import Graph
from gateway.models.manifest import Manifest
from gateway.models.validator import Validator
from loadtests.compare.parity.answers import Answer, Ask
from loadtests.compare.results import Subject
from loadtests.payloads import Payload
from tests.conftest import REPOSITORY

MODEL = REPOSITORY / "weight-change"
MANIFEST = Manifest.load(MODEL)
TORCHSERVE = Subject(name="torchserve/pytorch", backend="torchserve", lineage="pytorch")
ONNX = Subject(name="onnx/pytorch", backend="onnx", lineage="pytorch")

Columns = dict[str, Any]
Fault = Callable[[Columns], Columns]


def ask_of(session: ort.InferenceSession, fault: Fault | None = None) -> Ask:
    """The graph behind a door that sends its columns through ``fault`` first."""

    async def ask(payloads: Sequence[Payload]) -> list[Answer]:
        columns: Columns = {
            feature.name: np.array([payload[feature.name] for payload in payloads], object)
            for feature in MANIFEST.features
        }
        if fault is not None:
            with np.errstate(all="ignore"):
                columns = fault(columns)
        feeds = {
            node.name: columns[node.name]
            .astype(np.float32 if node.type == "tensor(float)" else object)
            .reshape(-1, 1)
            for node in session.get_inputs()
        }
        (values,) = session.run(None, feeds)
        return [
            {"weight_change": float(value) if np.isfinite(value) else None}
            for value in values.ravel()
        ]

    return ask


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    """An ONNX Runtime session on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def changed(change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> onnx.ModelProto:
    """The committed graph with every weight of its network changed."""
    model = onnx.load(MODEL / "1" / "pytorch.onnx")
    for tensor in model.graph.initializer:
        if tensor.name.startswith("net/"):
            values = change(numpy_helper.to_array(tensor)).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model


@pytest.fixture(scope="session")
def graph() -> ort.InferenceSession:
    """The committed graph."""
    return session(changed(lambda values: values))


def served(path: Path = MODEL / "1" / "pytorch.onnx") -> Ask:
    """The committed graph behind the gateway's own validator."""
    validator, loaded = Validator(MANIFEST), Graph(path, threads=1)

    async def ask(payloads: Sequence[Payload]) -> list[Answer]:
        outputs = loaded.run(validator.convert(payloads))
        return [{"weight_change": value} for value in outputs["weight_change"].ravel().tolist()]

    return ask
