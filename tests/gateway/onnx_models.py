"""ONNX's own test models, each a plain file served over HTTP and asked for its expected outputs.

``python -m tests.gateway.onnx_models`` serves all of them and prints the page docs/onnx-models.md.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, numpy_helper
from onnx.backend.test import loader, runner

from gateway.app import create_app, start
from gateway.config import Settings
from gateway.models.graph import DTYPES

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator", "real")
#: Those of DTYPES as ONNX numbers them, and the IR version that models which do not load get.
_ELEMENTS = {TensorProto.DataType.Value(name[7:-1].upper()) for name in DTYPES}
_OLDER = 10
#: Largest request body in bytes: one of the models takes 150,000 numbers.
_MAX_BODY = 64 * 2**20


@dataclass
class Case:
    """A model with what goes in and what is expected; ``reason`` is why it does not come out."""

    name: str
    kind: str
    model: bytes
    inputs: Sequence[Any]
    expected: Sequence[Any]
    rtol: float
    atol: float
    #: Whether its inputs and outputs are tensors of a type it can be asked for, and it loads.
    counts: bool = False
    #: Whether it loads, and all of them are tensors, be it of a type it cannot be asked for.
    tensors: bool = False
    #: Whether by what it declares, loaded or not, its types are those it can be asked for.
    typed: bool = False
    #: Whether it loads at least where it says that it is of an older IR version.
    loads_older: bool = False
    reason: str = ""
    errors: list[str] = field(default_factory=list)


def cases(kinds: Sequence[str] = KINDS) -> Iterator[Case]:
    """All test models of these kinds; ``real`` are the ones in ``data/light``."""
    for kind in kinds:
        for test in sorted(loader.load_model_tests(kind=kind), key=lambda test: test.name):
            if test.model is not None:
                inputs, outputs = (test.data_sets or [((), ())])[0]
                model = test.model.SerializeToString()
            elif test.model_dir is not None:
                folder = Path(test.model_dir)
                model = (folder / "model.onnx").read_bytes()
                graph = onnx.load_model_from_string(model).graph
                inputs = _read(folder, "input", graph.input)
                outputs = _read(folder, "output", graph.output)
            else:
                model, inputs, outputs = _light(str(test.url))
            given, expected = list(map(_array, inputs)), list(map(_array, outputs))
            yield Case(test.name, kind, model, given, expected, test.rtol, test.atol)


def judge_alone(case: Case) -> None:
    """Say how the case counts, and why ONNX Runtime alone does not get the expected outputs."""
    model = onnx.load_model_from_string(case.model)
    case.typed = all(_typed(value) for value in _values(model.graph))
    try:
        session = _load(case.model)
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        case.reason = f"ONNX Runtime does not load it: {_why(error)}"
        model.ir_version = _OLDER
        with contextlib.suppress(Exception):
            case.loads_older = bool(_load(model.SerializeToString()))
        return
    types = {node.type for node in [*session.get_inputs(), *session.get_outputs()]}
    case.tensors = all(kind.startswith("tensor(") for kind in types)
    if others := sorted(types - DTYPES.keys()):
        case.reason = f"not tensors, or not of a type that counts: {', '.join(others)}"
        return
    case.counts = True
    feeds = dict(zip([i.name for i in session.get_inputs()], case.inputs, strict=True))
    try:
        outputs = session.run(None, feeds)
    except Exception as error:  # see above
        case.reason = f"ONNX Runtime alone does not run it: {_why(error)}"
        return
    if not all(map(_alike, [case] * len(outputs), outputs, case.expected)):
        case.reason = "ONNX Runtime alone answers something else"


def _load(model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _values(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    """The outputs, and the inputs that somebody has to give."""
    known = {initializer.name for initializer in graph.initializer}
    yield from (value for value in graph.input if value.name not in known)
    yield from graph.output


def _typed(value: onnx.ValueInfoProto) -> bool:
    return value.type.HasField("tensor_type") and value.type.tensor_type.elem_type in _ELEMENTS


async def serve(chosen: Sequence[Case], folder: Path) -> None:
    """Serve the models as plain files in one folder, and note in each case what is wrong."""
    for case in chosen:
        (folder / f"{case.name}.onnx").write_bytes(case.model)
    settings = Settings(
        repository=str(folder), max_body_bytes=_MAX_BODY, reload_interval_s=0, onnx_threads=1
    )
    running = await start(create_app(settings), "127.0.0.1", 0)
    host, port = running.addresses[0][:2]
    try:
        async with aiohttp.ClientSession(f"http://{host}:{port}") as client:
            for case in chosen:
                await _ask(client, case)
    finally:
        await running.cleanup()


async def _ask(client: aiohttp.ClientSession, case: Case) -> None:
    async with client.get(f"/v1/models/{case.name}") as response:
        described = msgspec.json.decode(await response.read())
    if response.status != 200:
        case.errors.append(described["detail"])
        return
    instances = list(_instances(described, case.inputs))
    predictions: list[dict[str, Any]] = []
    # The first row by itself: it must not depend on those it is answered with.
    for part in filter(None, (instances[:1], instances[1:])):
        sent = msgspec.json.encode({"instances": part})
        url, headers = f"/v1/predict?model={case.name}", {"Content-Type": "application/json"}
        async with client.post(url, data=sent, headers=headers) as response:
            answer = msgspec.json.decode(await response.read())
        if response.status != 200:
            case.errors.append(answer["detail"])
            return
        predictions += answer["predictions"]
    for spec, expected in zip(described["outputs"], case.expected, strict=True):
        values = [row[spec["name"]] for row in predictions]
        if described["batched"]:
            if not spec["shape"] and expected.ndim == 2:
                expected = expected.reshape(len(expected))
        else:
            (values,) = values
        if not _is(case, values, expected):
            case.errors.append(f"{spec['name']}: another value than expected")


def _instances(described: dict[str, Any], inputs: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """The payload a client makes who has read the model's description."""
    features = described["features"]
    rows = [[array] for array in inputs]
    if described["batched"]:
        rows = [list(array) for array in inputs]
    for values in zip(*rows, strict=True) if rows else [()]:
        yield {
            feature["name"]: _value(feature, np.asarray(value))
            for feature, value in zip(features, values, strict=True)
        }


def _value(feature: dict[str, Any], value: Any) -> Any:
    if feature["type"] != "tensor":
        return value.item()
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raw = base64.b64encode(value.astype(value.dtype.newbyteorder("<")).tobytes()).decode()
        return {"b64": raw, "shape": list(value.shape)}
    return value.tolist()


def _is(case: Case, values: Any, expected: Any) -> bool:
    """Whether JSON values are the expected array; null stands for what is not finite."""
    if not expected.size:
        return bool(values == expected.tolist())
    got = np.array(values, object)
    if got.shape != expected.shape:
        return False
    if expected.dtype.kind != "f":
        return bool((got == expected.astype(object)).all())
    null = np.array([value is None for value in got.ravel()], bool).reshape(got.shape)
    if not np.array_equal(null, ~np.isfinite(expected)):
        return False
    numbers = got[~null].astype(np.float64)
    return np.allclose(numbers, expected[~null].astype(np.float64), case.rtol, case.atol)


def _alike(case: Case, got: Any, expected: Any) -> bool:
    got = np.asarray(got)
    if got.shape != expected.shape or expected.dtype.kind != "f":
        return np.array_equal(got, expected)
    return np.allclose(got, expected, case.rtol, case.atol, equal_nan=True)


def _array(value: Any) -> Any:
    if isinstance(value, onnx.TensorProto):
        value = numpy_helper.to_array(value)
    if isinstance(value, list) or value is None:
        return value  # a sequence or an optional value: not asked for
    array = np.asarray(value)
    return array.astype(object) if array.dtype.kind in "UT" else array


def _read(folder: Path, word: str, values: Sequence[onnx.ValueInfoProto]) -> list[Any]:
    """The tensors of the first data set; None in the place of anything else."""
    files = [folder / "test_data_set_0" / f"{word}_{i}.pb" for i in range(len(values))]
    return [
        onnx.TensorProto.FromString(file.read_bytes())
        if value.type.HasField("tensor_type")
        else None
        for file, value in zip(files, values, strict=True)
        if file.exists()
    ]


def _light(url: str) -> tuple[bytes, list[Any], list[Any]]:
    """A model of ``data/light`` with ONNX's own inputs and outputs for it."""
    path = Path(onnx.__file__).parent.parent / url
    model = onnx.load(path)
    known = {initializer.name for initializer in model.graph.initializer}
    inputs = [
        runner.Runner.generate_dummy_data(value)
        for value in model.graph.input
        if value.name not in known
    ]
    outputs = [
        onnx.TensorProto.FromString(file.read_bytes())
        for file in sorted(path.parent.glob(f"{path.stem}_output_*.pb"))
    ]
    return path.read_bytes(), inputs, outputs


def _why(error: Exception) -> str:
    """What stays the same from model to model of ONNX Runtime's words."""
    words = str(error).splitlines()[0]
    words = re.sub(r"^\[ONNXRuntimeError\] : \d+ : ", "", words)
    words = re.sub(r"/\S+?:\d+ .*?\) (?=[A-Z])", "", words)
    return re.sub(r"\s+", " ", words)[:120]


def check(folder: Path, kinds: Sequence[str] = KINDS) -> list[Case]:
    """Judge all models of these kinds, served from an empty folder."""
    everything = list(cases(kinds))
    for case in everything:
        judge_alone(case)
    asyncio.run(serve([case for case in everything if case.counts], folder))
    return everything


if __name__ == "__main__":
    from tests.gateway.onnx_models_page import PAGE, by_hand, page

    with tempfile.TemporaryDirectory() as scratch:
        judged = check(Path(scratch))
        sys.stdout.write(page(judged, by_hand(PAGE.read_text(encoding="utf-8"))))
