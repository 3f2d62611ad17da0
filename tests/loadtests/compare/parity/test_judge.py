"""The verdict, its evidence and its figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import onnxruntime as ort
import pytest

from gateway.models.manifest import Feature, Manifest, Output
from gateway.routing.agreement import wilson
from loadtests.compare.parity.answers import Answer, Ask, Refusal
from loadtests.compare.parity.distance import distance
from loadtests.compare.parity.judge import parity
from loadtests.compare.results import Parity, Subject
from loadtests.payloads import Payload, edges, examples, generated
from tests.loadtests.compare.parity.conftest import (
    MANIFEST,
    MODEL,
    ONNX,
    TORCHSERVE,
    ask_of,
    changed,
    served,
    session,
)
from tests.loadtests.test_payloads import manifest_of

SIMPLE = msgspec.structs.replace(
    manifest_of(Feature("x", "number", range=(0, 1))), outputs=(Output("y", unit="kg"),)
)


async def judged(
    reference: Ask, candidate: Ask, payloads: dict[str, list[Payload]], manifest: Manifest = SIMPLE
) -> Parity:
    asks = {TORCHSERVE.name: reference, ONNX.name: candidate}
    return await parity(TORCHSERVE, ONNX, asks, payloads, manifest)


def rows(count: int) -> dict[str, list[Payload]]:
    return {"generated": [{"x": index / count} for index in range(count)]}


def answering(change: Any) -> Ask:
    """Answers ``change(x, index)`` as y; a refusal or a whole answer as it is."""

    async def ask(payloads: Sequence[Payload]) -> list[Answer]:
        found = [change(payload["x"]) for payload in payloads]
        return [y if isinstance(y, Refusal | dict) else {"y": y} for y in found]

    return ask


SAME = answering(lambda x: x)


async def test_the_same_model_is_equivalent(graph: ort.InferenceSession) -> None:
    payloads = {
        "examples": examples(MANIFEST),
        "edges": edges(MANIFEST),
        "generated": generated(MANIFEST, 500),
    }
    told: list[int] = []
    asks = {TORCHSERVE.name: served(), ONNX.name: ask_of(graph)}
    found = await parity(TORCHSERVE, ONNX, asks, payloads, MANIFEST, advance=told.append)
    total = sum(map(len, payloads.values()))
    assert sum(told) == total
    assert found.verdict == "equivalent"
    assert found.evidence.startswith(f"{total} of {total} rows within 0.0001 lb; largest diff")
    assert found.rows == {kind: len(some) for kind, some in payloads.items()}
    assert (found.lineage, found.reference, found.candidate) == (
        "pytorch",
        "torchserve/pytorch",
        "onnx/pytorch",
    )
    assert found.within.value == 1.0
    assert (found.within.low, found.within.high) == wilson(total, total)
    assert found.within.id == "parity.pytorch.torchserve-pytorch.onnx-pytorch.within"
    assert found.largest.value is not None
    assert found.largest.value < 1e-4
    assert found.largest.unit == "lb"
    assert (found.suspects, found.labels, found.refused) == ([], None, 0)


async def test_weights_off_by_a_hundredth_are_not_equivalent(graph: ort.InferenceSession) -> None:
    wrong = ask_of(session(changed(lambda values: values + 1e-2)))
    payloads = {"generated": generated(MANIFEST, 200)}
    found = await judged(ask_of(graph), wrong, payloads, MANIFEST)
    assert found.verdict == "not equivalent"
    assert "of 200 rows within 0.0001 lb; largest difference" in found.evidence
    assert found.worst is not None
    assert found.worst.payload in payloads["generated"]
    assert found.worst.difference == found.largest.value
    assert found.worst.output == "weight_change"
    assert len(found.suspects) == 10
    assert not any(one.named for one in found.suspects)


async def test_one_row_is_enough() -> None:
    found = await judged(SAME, answering(lambda x: x + 0.5 * (x == 0.5)), rows(1_000))
    assert found.verdict == "not equivalent"
    assert found.evidence == "999 of 1,000 rows within 0.0001 kg; largest difference 0.5 kg"
    assert found.within.value == 0.999
    assert found.worst is not None
    assert (found.worst.payload, found.worst.reference, found.worst.candidate) == (
        {"x": 0.5},
        0.5,
        1.0,
    )
    mean, error = 0.0005, 1.96 * math.sqrt(0.25 * 0.001 * 0.999 / 999)
    assert found.mean.value == pytest.approx(mean)
    assert found.mean.high == pytest.approx(mean + error)
    assert found.mean.low == 0.0


async def test_too_few_rows_are_undecided() -> None:
    found = await judged(SAME, SAME, rows(99))
    assert found.verdict == "undecided"
    assert found.evidence == (
        "99 of 99 rows within 0.0001 kg; largest difference 0 kg; "
        "fewer than 100 rows are too few to tell"
    )
    assert found.worst is None
    assert found.histogram is not None
    assert found.histogram.zeros == 99
    assert (await judged(SAME, SAME, rows(100))).verdict == "equivalent"
    nothing = await judged(SAME, SAME, {})
    assert (nothing.verdict, nothing.within.value) == ("undecided", None)


async def test_a_row_that_one_refuses_is_a_difference() -> None:
    picky = answering(lambda x: Refusal("too small") if x < 0.02 else x)
    found = await judged(SAME, picky, rows(200))
    assert (found.verdict, found.refused) == ("not equivalent", 4)
    assert found.evidence == (
        "196 of 200 rows within 0.0001 kg; largest difference 0 kg; "
        "4 rows refused by onnx/pytorch alone"
    )
    assert found.worst is not None
    assert (found.worst.output, found.worst.reference) == ("y", 0.0)
    assert (found.worst.candidate, found.worst.difference) == ("too small", None)
    assert found.largest.value is None
    assert found.largest.remark == (
        "4 rows differ beyond all measure; the largest of the others is 0 kg"
    )
    other = await judged(picky, SAME, rows(200))
    assert "4 rows refused by torchserve/pytorch alone" in other.evidence


async def test_a_row_that_both_refuse_is_none() -> None:
    picky = answering(lambda x: Refusal("no") if x < 0.5 else x)
    found = await judged(picky, picky, rows(300))
    assert (found.verdict, found.refused) == ("equivalent", 0)
    assert found.evidence.endswith("150 more rows refused by both")
    assert found.within.value == 1.0
    never = answering(lambda x: Refusal("no"))
    all_refused = await judged(never, never, rows(300))
    assert all_refused.verdict == "undecided"
    assert all_refused.evidence == "no row was answered by either of them"


async def test_null_equals_null_and_nothing_else() -> None:
    sometimes = answering(lambda x: None if x < 0.1 else x)
    assert (await judged(sometimes, sometimes, rows(200))).verdict == "equivalent"
    found = await judged(SAME, sometimes, rows(200))
    assert found.verdict == "not equivalent"
    assert "20 rows differ in what has no difference in numbers" in found.evidence


async def test_labels() -> None:
    def said(threshold: float) -> Ask:
        return answering(lambda x: {"score": x, "label": "high" if x > threshold else "low"})

    found = await judged(said(0.5), said(0.5), rows(200))
    assert found.verdict == "equivalent"
    assert found.labels is not None
    assert found.labels.value == 1.0
    found = await judged(said(0.5), said(0.595), rows(200))
    assert found.verdict == "not equivalent"
    assert found.labels is not None
    assert found.labels.value == pytest.approx(1 - 19 / 200)
    assert (found.labels.low, found.labels.high) == wilson(181, 200)
    assert found.worst is not None
    assert (found.worst.output, found.worst.reference, found.worst.candidate) == (
        "label",
        "high",
        "low",
    )


@pytest.mark.parametrize("spoiled", [{"z": 1.0}, {"y": [1.0]}, {"y": "1.0"}, {"y": [[1], [1, 2]]}])
async def test_outputs_of_another_kind(spoiled: dict[str, Any]) -> None:
    found = await judged(SAME, answering(lambda x: spoiled), rows(100))
    assert (found.verdict, found.within.value) == ("not equivalent", 0.0)
    assert found.histogram is not None
    assert (sum(found.histogram.counts), found.histogram.zeros) == (0, 0)


async def test_lists_are_compared_element_by_element() -> None:
    def spread(error: float) -> Ask:
        return answering(lambda x: {"y": [[x, x + 1], [x + 2, x + 3 + error]]})

    assert (await judged(spread(0), spread(0.5e-4), rows(100))).verdict == "equivalent"
    assert (await judged(spread(0), spread(2e-4), rows(100))).verdict == "not equivalent"


async def test_the_histogram_counts_every_row() -> None:
    found = await judged(SAME, answering(lambda x: x + (x > 0.5) * x * 1e-3), rows(1_000))
    shown = found.histogram
    assert shown is not None
    assert len(shown.edges) == len(shown.counts) + 1
    assert shown.edges[0] <= 1e-4 <= shown.edges[-1]
    assert shown.edges[4] == pytest.approx(10 * shown.edges[0])
    assert (shown.zeros, sum(shown.counts)) == (501, 499)
    assert sum(shown.counts[: shown.edges.index(0.0001)]) == 0


async def test_a_stand_in_marks_every_figure() -> None:
    stand_in = msgspec.structs.replace(TORCHSERVE, stand_in="TensorFlow behind REST")
    asks = {TORCHSERVE.name: SAME, ONNX.name: answering(lambda x: {"y": x, "kind": "a"})}
    found = await parity(stand_in, ONNX, asks, rows(10), SIMPLE)
    figures = [found.largest, found.mean, found.within]
    assert {figure.stand_in for figure in figures} == {"TensorFlow behind REST"}
    assert (await parity(TORCHSERVE, ONNX, asks, rows(10), SIMPLE)).within.stand_in is None


async def test_across_lineages_only_the_distance() -> None:
    other = Subject(
        name="onnx/tensorflow", backend="onnx", lineage="tensorflow", stand_in="stand-in"
    )
    asks = {
        ONNX.name: ask_of(session(changed(lambda values: values))),
        other.name: served(MODEL / "1" / "tensorflow.onnx"),
    }
    found = await distance(ONNX, other, asks, {"generated": generated(MANIFEST, 200)}, MANIFEST)
    assert (found.one, found.other, found.rows) == ("onnx/pytorch", "onnx/tensorflow", 200)
    assert found.largest.value is not None
    assert found.mean.value is not None
    assert found.largest.value > found.mean.value > 0.01
    assert found.largest.id == "distance.onnx-pytorch.onnx-tensorflow.largest"
    assert found.mean.stand_in == "stand-in"
