from __future__ import annotations

import msgspec
import pytest

from loadtests.compare.advice.cases import cases, server_of
from loadtests.compare.results import Subject
from tests.loadtests.compare.factories import (
    DIRECT,
    ONNX,
    TORCHSERVE,
    one_round,
    parity,
    point,
    results,
    server,
)


def test_today_is_the_direct_subject_where_it_was_measured() -> None:
    (unmeasured,) = cases(results([]))
    assert unmeasured.today is unmeasured.original is TORCHSERVE
    (case,) = cases(results([point(DIRECT, [one_round(1, 1, 1)])]))
    assert (case.candidate, case.original, case.today) == (ONNX, TORCHSERVE, DIRECT)
    assert case.subjects == [ONNX, TORCHSERVE, DIRECT]
    assert case.asked(case.candidate) == "ONNX Runtime through the gateway"
    assert case.asked(case.original) == "TorchServe through the gateway"
    assert case.asked(case.today) == "TorchServe asked directly"


def test_two_of_one_backend_go_by_their_names() -> None:
    twin = Subject(name="onnx/twin", backend="onnx", lineage="pytorch")
    (case,) = cases(results([], [parity(ONNX, twin)], [ONNX, twin]))
    assert case.title(ONNX) == "onnx/pytorch"
    assert case.title(twin) == "onnx/twin"


def test_a_backend_nobody_has_heard_of_has_its_own_name() -> None:
    other = msgspec.structs.replace(TORCHSERVE, name="mine/pytorch", backend="mine")
    (case,) = cases(results([], [parity(ONNX, other)], [ONNX, other]))
    assert case.asked(other) == "mine through the gateway"


def test_the_server_of_a_subject() -> None:
    document = results([], servers=[server("gateway", 1, 1, 1), server("torchserve", 1, 1, 1)])
    assert server_of(ONNX, document) is document.servers[0]
    assert server_of(DIRECT, document) is document.servers[1]
    assert server_of(TORCHSERVE, results([])) is None


def test_parity_of_nobody() -> None:
    document = msgspec.structs.replace(results([]), subjects=[ONNX])
    with pytest.raises(KeyError, match="torchserve/pytorch"):
        cases(document)
