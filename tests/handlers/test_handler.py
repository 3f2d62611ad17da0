"""The handler under TorchServe's own context objects, with the committed archive's content."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import TensorProto, helper
from ts.context import Context, RequestProcessor

from gateway.config import Settings
from gateway.errors import ConfigError, ModelError
from gateway.models.graph import Graph
from gateway.models.rows import Rows
from handlers.handler import ModelFolderHandler
from handlers.limits import limits
from serving import layout
from serving.weight_change import data
from serving.weight_change.definition import MANIFEST
from tests.conftest import REPOSITORY, TALK

VERSION = REPOSITORY / "weight-change" / layout.VERSION
JSON = {"body": {"content-type": "application/json"}}

Handle = Callable[..., list[tuple[int, Any]]]


def make_context(folder: Path) -> Context:
    packed = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text())
    return Context(packed["model"]["modelName"], str(folder), packed, 16, None, "0.12.0")


def make_handle(folder: Path) -> tuple[ModelFolderHandler, Handle]:
    """A handler of the archive unpacked in `folder`, and a way to call it as a worker does."""
    handler, context = ModelFolderHandler(), make_context(folder)
    handler.initialize(context)

    def handle(*requests: dict[str, Any]) -> list[tuple[int, Any]]:
        context.request_ids = {index: str(index) for index in range(len(requests))}
        context.request_processor = [RequestProcessor(dict(JSON)) for _ in requests]
        answers = handler.handle(list(requests), context)
        assert len(answers) == len(requests)
        for index in range(len(requests)):
            assert context.get_response_content_type(index) == "application/json"
        statuses = [context.get_response_status(index)[0] for index in range(len(requests))]
        return [
            (status, json.loads(answer)) for status, answer in zip(statuses, answers, strict=True)
        ]

    return handler, handle


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weight-change")
    with zipfile.ZipFile(VERSION / layout.archive_name("weight-change")) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def loaded(unpacked: Path) -> tuple[ModelFolderHandler, Handle]:
    return make_handle(unpacked)


@pytest.fixture(scope="module")
def handle(loaded: tuple[ModelFolderHandler, Handle]) -> Handle:
    return loaded[1]


@pytest.fixture(scope="module")
def talk_answer() -> float:
    """What the merged graph answers to the talk's payload."""
    rows = {name: np.array([value], dtype=object) for name, value in TALK.items()}
    graph = Graph(VERSION / layout.PYTORCH)
    feeds = {
        name: rows[name] if node.type == "tensor(string)" else rows[name].astype(np.float32)
        for name, node in graph.inputs.items()
    }
    return float(graph.run(Rows(feeds, 1))["weight_change"][0, 0])


def test_an_object_is_answered_by_an_object(handle: Handle, talk_answer: float) -> None:
    [(status, answer)] = handle({"body": TALK})
    assert status == 200
    assert answer == {"weight_change": pytest.approx(talk_answer, abs=1e-5)}


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"instances": rows}])
@pytest.mark.parametrize("encode", [lambda body: body, lambda body: json.dumps(body).encode()])
@pytest.mark.parametrize("key", ["body", "data"])
def test_lists_and_instances_are_answered_by_lists(
    handle: Handle, talk_answer: float, wrap: Any, encode: Any, key: str
) -> None:
    older = {**TALK, "age": 23}
    [(_, single)] = handle({"body": older})
    for rows in ([TALK], [TALK, older, TALK]):
        [(status, answer)] = handle({key: encode(wrap(rows))})
        assert status == 200
        assert [row["weight_change"] for row in answer] == pytest.approx(
            [talk_answer, single["weight_change"], talk_answer][: len(rows)], abs=1e-5
        )


def test_bytes_and_text_are_read_as_json(handle: Handle, talk_answer: float) -> None:
    text = json.dumps(TALK)
    escaped = text.replace('"age"', '"\\u0061ge"')
    bodies = [
        text,
        text.encode(),
        bytearray(text.encode()),
        escaped.encode(),
        b" \n" + text.encode(),
    ]
    for _, answer in handle(*({"body": body} for body in bodies)):
        assert answer == {"weight_change": pytest.approx(talk_answer, abs=1e-5)}


def test_an_escaped_instances_key_is_still_a_batch(handle: Handle) -> None:
    body = json.dumps({"instances": [TALK]}).replace('"instances"', '"\\u0069nstances"')
    [(status, answer)] = handle({"body": body.encode()})
    assert status == 200
    assert isinstance(answer, list)


def test_batch_of_requests_takes_one_pass_through_the_network(
    loaded: tuple[ModelFolderHandler, Handle], original_or_generated: list[dict[str, Any]]
) -> None:
    handler, handle = loaded
    sizes: list[int] = []
    hook = handler._net.register_forward_hook(lambda net, args, out: sizes.append(len(out)))
    rows = original_or_generated
    answers = handle({"body": rows[0]}, {"body": rows[1:4]}, {"body": {"instances": rows[4:]}})
    hook.remove()
    assert sizes == [len(rows)]
    flat = [answers[0][1], *answers[1][1], *answers[2][1]]
    [(_, expected)] = handle({"body": rows})
    assert [row["weight_change"] for row in flat] == pytest.approx(
        [row["weight_change"] for row in expected], abs=1e-5
    )


@pytest.fixture
def original_or_generated() -> list[dict[str, Any]]:
    return data.generate(64, seed=41).rows(MANIFEST).objects


def test_two_thousand_rows_answer_as_the_merged_graph(handle: Handle) -> None:
    rows = data.generate(2_000, seed=42).rows(MANIFEST)
    [(status, answer)] = handle({"body": rows.objects})
    assert status == 200
    expected = Graph(VERSION / layout.PYTORCH).run(rows)["weight_change"][:, 0]
    got = np.array([row["weight_change"] for row in answer])
    assert np.abs(got - expected).max() <= MANIFEST.parity.absolute


BAD = [
    ({"body": {**TALK, "gender": "f"}}, "gender"),
    ({"body": {**TALK, "gender": "X"}}, "gender"),
    ({"body": {**TALK, "age": "22"}}, "age"),
    ({"body": {**TALK, "age": True}}, "age"),
    ({"body": {**TALK, "age": None}}, "age"),
    ({"body": {**TALK, "age": 22.5}}, "age"),
    ({"body": {**TALK, "bmr": math.nan}}, "bmr"),
    ({"body": {**TALK, "bmr": math.inf}}, "bmr"),
    ({"body": {**TALK, "bmr": 10**400}}, "bmr"),
    ({"body": {**TALK, "bmr": 1e300}}, "bmr"),
    ({"body": {**TALK, "extra": 1}}, "extra"),
    ({"body": {key: value for key, value in TALK.items() if key != "duration"}}, "duration"),
    ({"body": [TALK, {**TALK, "age": "x"}]}, "age"),
    ({"body": {"instances": [TALK], "age": 1}}, "age"),
    ({"body": {"instances": TALK}}, "instances"),
    ({"body": {"instances": []}}, "instances"),
    ({"body": []}, "instances"),
    ({"body": [1, 2]}, "instances"),
    ({"body": [TALK] * 10_001}, "instances"),
    ({"body": 5}, "body"),
    ({"body": json.dumps({**TALK, "age": "22"}).encode()}, "age"),
    ({"body": json.dumps([{**TALK, "age": "22"}]).encode()}, "age"),
    ({"body": b'{"age": 1e999}'}, "age"),
    ({"body": b'{"age": %s}' % (b"9" * 100_000)}, "age"),
    ({"body": b'{"age": 22, '}, "body"),
    ({"body": b'[{}], "instances": [{}]'}, "body"),
    ({"body": b"[" * 10_000}, "body"),
    ({"body": b'{"age": "\xff"}'}, "body"),
    ({"body": b"\x89PNG\r\n"}, "body"),
    ({"body": b""}, "body"),
    ({"body": "age=22"}, "body"),
    ({}, "body"),
    ({"age": b"22", "gender": b"F"}, "body"),
]


@pytest.mark.parametrize(("request_", "field"), BAD)
def test_a_bad_request_alone_is_refused_and_named(
    handle: Handle, talk_answer: float, request_: dict[str, Any], field: str
) -> None:
    first, bad, last = handle({"body": TALK}, request_, {"body": [TALK]})
    assert bad[0] == 400
    assert bad[1]["code"] == 400
    assert bad[1]["type"] == ("InvalidRequest" if field == "body" else "InvalidInput")
    assert field in bad[1]["message"]
    assert field in [error["field"] for error in bad[1]["errors"]]
    expected = {"weight_change": pytest.approx(talk_answer, abs=1e-5)}
    assert first == (200, expected)
    assert last == (200, [expected])


def test_every_bad_field_of_every_row_is_named_with_its_pointer(handle: Handle) -> None:
    rows = [TALK, {**TALK, "age": "x", "gender": 1}, {**TALK, "bmr": []}]
    for body in (rows, json.dumps(rows).encode()):
        [(_, answer)] = handle({"body": body})
        assert [error["pointer"] for error in answer["errors"]] == ["/1/age", "/1/gender", "/2/bmr"]


def test_only_bad_requests_leave_nothing_to_compute(handle: Handle) -> None:
    assert [status for status, _ in handle({}, {"body": b"{"})] == [400, 400]


@pytest.fixture
def two_outputs(tmp_path: Path) -> Path:
    """An unpacked archive of another model: a tensor of any length, two inputs, two outputs."""
    (tmp_path / "MAR-INF").mkdir()
    packed = {"modelName": "other", "modelFile": "other.py", "serializedFile": "w.pth"}
    (tmp_path / "MAR-INF" / "MANIFEST.json").write_text(json.dumps({"model": packed}))
    manifest = {
        "name": "other",
        "features": [
            {"name": "scale", "type": "number"},
            {"name": "values", "type": "tensor", "shape": [None], "dtype": "float32"},
        ],
        "outputs": [{"name": "total"}, {"name": "both", "shape": [2]}],
        "backends": {"torchserve": {"lineages": {"pytorch": {"model": "other"}}}},
    }
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(manifest))
    (tmp_path / "other.py").write_text(
        "import torch\n\n\n"
        "class Other(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.factor = torch.nn.Parameter(torch.zeros(1))\n\n"
        "    def forward(self, scale, total):\n"
        "        return self.factor * scale * total, torch.cat([scale, total], dim=1)\n"
    )
    torch.save({"factor": torch.tensor([10.0])}, tmp_path / "w.pth")
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["scale"], ["first"]),
            helper.make_node("ReduceSum", ["values", "axes"], ["second"], keepdims=1),
        ],
        "preprocess",
        [
            value("scale", TensorProto.FLOAT, ["n", 1]),
            value("values", TensorProto.FLOAT, ["n", "m"]),
        ],
        [value("first", TensorProto.FLOAT, ["n", 1]), value("second", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, str(tmp_path / "preprocess.onnx"))
    return tmp_path


def test_another_model_is_served_by_its_manifest_alone(two_outputs: Path) -> None:
    _, handle = make_handle(two_outputs)
    # Rows of different lengths do not fit in one batch, and still are answered side by side.
    answers = handle(
        {"body": {"scale": 2, "values": [1, 2]}},
        {"body": [{"scale": 3, "values": [1, 2, 3]}, {"scale": 1, "values": [0, 0, 1]}]},
        {"body": {"scale": 1, "values": "no"}},
        {"body": {"scale": 4, "values": [5, 5]}},
    )
    assert [status for status, _ in answers] == [200, 200, 400, 200]
    assert answers[0][1] == {"total": 60.0, "both": [2.0, 3.0]}
    assert answers[1][1] == [
        {"total": 180.0, "both": [3.0, 6.0]},
        {"total": 10.0, "both": [1.0, 1.0]},
    ]
    assert answers[2][1]["errors"][0]["field"] == "values"
    assert answers[3][1] == {"total": 400.0, "both": [4.0, 10.0]}


def test_a_row_that_the_network_fails_on_fails_alone(two_outputs: Path) -> None:
    path = two_outputs / "other.py"
    check = (
        "        if (total == 99).any():\n            total[99]\n"
        "        if (total == 97).any():\n            raise IndexError('a bug, too')\n"
        "        if (total == 98).any():\n            raise KeyError('a bug')\n        return"
    )
    path.write_text(path.read_text().replace("        return", check))
    _, handle = make_handle(two_outputs)
    bodies = [{"scale": 1, "values": [value, 0]} for value in (1, 99, 2, 98, 97)]
    good, index, other, bug, mistake = handle(*[{"body": body} for body in bodies])
    assert good == (200, {"total": 10.0, "both": [1.0, 1.0]})
    assert other == (200, {"total": 20.0, "both": [1.0, 2.0]})
    assert index[0] == 400
    assert index[1]["type"] == "InputRefused"
    assert index[1]["message"] == "index 99 is out of bounds for dimension 0 with size 1"
    assert index[1]["errors"][0]["kind"] == "engine"
    assert bug == (500, {"code": 500, "type": "KeyError", "message": "'a bug'"})
    assert mistake == (500, {"code": 500, "type": "IndexError", "message": "a bug, too"})
    [(status, _)] = handle({"body": bodies[1]})
    assert status == 400


def test_the_limits_are_the_gateways(two_outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"scale": 1, "values": [1]}
    assert limits({}) == (Settings().max_instances, Settings().max_image_pixels)
    assert limits({"GATEWAY_MAX_IMAGE_PIXELS": "5", "GATEWAY_MAX_INSTANCES": ""})[1] == 5
    monkeypatch.setenv("GATEWAY_MAX_INSTANCES", "3")
    _, handle = make_handle(two_outputs)
    assert [status for status, _ in handle({"body": [row] * 3}, {"body": [row] * 4})] == [200, 400]
    for wrong in ("many", "0", "-1", "1.5"):
        monkeypatch.setenv("GATEWAY_MAX_INSTANCES", wrong)
        with pytest.raises(ConfigError, match="GATEWAY_MAX_INSTANCES"):
            make_handle(two_outputs)


def test_weights_that_are_not_only_tensors_are_not_loaded(two_outputs: Path) -> None:
    torch.save({"factor": Path("x")}, two_outputs / "w.pth")
    with pytest.raises(Exception, match="weights_only"):
        make_handle(two_outputs)


def test_weights_of_another_network_are_not_loaded(two_outputs: Path) -> None:
    torch.save({"other": torch.zeros(1)}, two_outputs / "w.pth")
    with pytest.raises(RuntimeError, match="factor"):
        make_handle(two_outputs)


def test_a_graph_that_does_not_take_the_features_is_not_loaded(two_outputs: Path) -> None:
    path = two_outputs / "model.yaml"
    path.write_text(path.read_text().replace("name: scale", "name: size"))
    with pytest.raises(ModelError, match="scale"):
        make_handle(two_outputs)


def test_a_model_file_with_two_networks_is_not_loaded(two_outputs: Path) -> None:
    path = two_outputs / "other.py"
    path.write_text(path.read_text() + "\n\nclass Second(Other):\n    pass\n")
    with pytest.raises(ImportError, match="defines 2 networks"):
        make_handle(two_outputs)
