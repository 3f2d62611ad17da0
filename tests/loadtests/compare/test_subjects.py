"""Who is compared with whom, asked of a real gateway whose servers are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.compare.errors import CompareError
from loadtests.compare.results import Subject
from loadtests.compare.subjects import ask_offer, pairs
from tests.conftest import MIXED, MakeClient, write_model
from tests.loadtests.compare.factories import DIRECT, ONNX, TORCHSERVE


async def names(url: str, *backends: str) -> list[str]:
    offer = await ask_offer(url, None, None, backends)
    return [subject.name for subject in offer.subjects]


async def test_all_that_answer(lonely_gateway: str) -> None:
    offer = await ask_offer(lonely_gateway, None, None, [])
    assert (offer.url, offer.manifest.name, offer.version) == (
        lonely_gateway,
        "weight-change",
        "1",
    )
    assert offer.subjects == [
        Subject(name=f"onnx/{lineage}", backend="onnx", lineage=lineage)
        for lineage in ("pytorch", "tensorflow")
    ]
    assert len(offer.absent) == 2
    torchserve, tfserving = offer.absent
    assert torchserve.startswith("torchserve/pytorch was not compared: ")
    assert tfserving.startswith("tfserving/tensorflow was not compared: ")
    # With the reason, which is the connection.
    assert all("no connection to http://127.0.0.1:" in absent for absent in offer.absent)


async def test_some_are_chosen(lonely_gateway: str) -> None:
    assert await names(lonely_gateway, "onnx") == ["onnx/pytorch", "onnx/tensorflow"]
    assert await names(lonely_gateway, "onnx/tensorflow") == ["onnx/tensorflow"]
    assert await names(lonely_gateway, "onnx/tensorflow", "onnx/pytorch") == [
        "onnx/tensorflow",
        "onnx/pytorch",
    ]


async def test_one_that_is_named_twice_is_numbered(lonely_gateway: str) -> None:
    assert await names(lonely_gateway, *["onnx/pytorch"] * 3) == [
        "onnx/pytorch",
        "onnx/pytorch (2)",
        "onnx/pytorch (3)",
    ]
    assert await names(lonely_gateway, "onnx", "onnx/pytorch") == [
        "onnx/pytorch",
        "onnx/tensorflow",
        "onnx/pytorch (2)",
    ]


async def test_one_that_is_named_must_answer(lonely_gateway: str) -> None:
    with pytest.raises(
        CompareError, match=r"^torchserve/pytorch was not compared: .*no connection"
    ):
        await ask_offer(lonely_gateway, None, None, ["onnx", "torchserve"])
    with pytest.raises(CompareError) as unknown:
        await ask_offer(lonely_gateway, None, None, ["onnx", "openvino"])
    assert str(unknown.value) == (
        "there is no backend 'openvino': onnx/pytorch, onnx/tensorflow, torchserve/pytorch, "
        "tfserving/tensorflow"
    )


async def test_there_must_be_such_a_model(lonely_gateway: str, free_port: int) -> None:
    with pytest.raises(CompareError, match=r"answered 404: .*'resnet'.*weight-change"):
        await ask_offer(lonely_gateway, "resnet", None, [])
    with pytest.raises(CompareError, match=r"answered 404: .*'7'"):
        await ask_offer(lonely_gateway, None, "7", [])
    nobody = f"http://127.0.0.1:{free_port}"
    with pytest.raises(CompareError, match=f"^{nobody}/v1/models: ") as error:
        await ask_offer(nobody, None, None, [])
    assert "\n" not in str(error.value)


async def test_of_several_models_one_is_named(tmp_path: Path, make_client: MakeClient) -> None:
    for name in ("one", "two"):
        write_model(tmp_path / name, MIXED | {"name": name})
    url = str((await make_client(tmp_path))._base_url)
    with pytest.raises(CompareError, match=r"^say which with --model; there is: one, two$"):
        await ask_offer(url, None, None, [])
    assert (await ask_offer(url, "two", None, [])).manifest.name == "two"


TFSERVING = Subject(
    name="tfserving/tensorflow",
    backend="tfserving",
    lineage="tensorflow",
    server="http://127.0.0.1:2",
)
OTHER = Subject(name="onnx/tensorflow", backend="onnx", lineage="tensorflow")
AGAIN = Subject(name="onnx/pytorch (2)", backend="onnx", lineage="pytorch")


def test_the_candidate_is_the_one_without_a_server() -> None:
    every = [TORCHSERVE, OTHER, ONNX, TFSERVING]
    assert pairs(every) == [(TORCHSERVE, ONNX), (TFSERVING, OTHER)]


def test_or_the_one_that_is_named() -> None:
    every = [ONNX, OTHER, TORCHSERVE, TFSERVING]
    # The other lineage has no such backend, so nobody there is a candidate.
    assert pairs(every, "torchserve") == [(ONNX, TORCHSERVE)]
    assert pairs(every, "tfserving/tensorflow") == [(OTHER, TFSERVING)]
    assert pairs(every, "onnx") == [(TORCHSERVE, ONNX), (TFSERVING, OTHER)]


def test_or_the_last() -> None:
    second = Subject(
        name="triton/pytorch", backend="triton", lineage="pytorch", server="http://127.0.0.1:3"
    )
    assert pairs([TORCHSERVE, second]) == [(TORCHSERVE, second)]


def test_one_can_be_held_against_itself() -> None:
    assert pairs([ONNX, AGAIN]) == [(AGAIN, ONNX)]
    assert pairs([ONNX, AGAIN], "onnx/pytorch (2)") == [(ONNX, AGAIN)]


def test_nobody_is_held_against_who_is_asked_directly_or_of_another_lineage() -> None:
    assert pairs([ONNX, DIRECT, OTHER]) == []


def test_a_candidate_must_be_there() -> None:
    with pytest.raises(
        CompareError, match=r"^there is no candidate 'openvino': onnx/pytorch, torch"
    ):
        pairs([ONNX, TORCHSERVE], "openvino")
