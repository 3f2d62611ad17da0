from __future__ import annotations

import msgspec
import pytest

from loadtests.compare.advice.cases import cases
from loadtests.compare.advice.costs import Cost, decided_costs
from loadtests.compare.results import Figure, Results, Server, Subject, Usage
from tests.loadtests.compare.factories import (
    DIRECT,
    ONNX,
    TORCHSERVE,
    figure,
    parity,
    results,
    server,
    usage,
)


def _decided(document: Results) -> dict[str, bool]:
    (case,) = cases(document)
    found: list[Cost] = decided_costs(case, document)
    return {cost.what: cost.favours for cost in found}


def _document(*servers: Server, used: tuple[Usage, ...] = ()) -> Results:
    return results([], servers=servers, used=used)


def _first(name: str, low: float, value: float, high: float) -> Figure:
    return figure(f"first.{name}", value, "s", low=low, high=high)


def test_each_cost_is_decided_by_itself() -> None:
    ours = server("gateway", 100, _first("a", 0.9, 1, 1.1), 3000)
    theirs = server("torchserve", 900, _first("b", 8, 9, 10), 200)
    used = (usage(ONNX, 0.1, 0.2, 0.3), usage(TORCHSERVE, 0.4, 0.5, 0.6))
    assert _decided(_document(ours, theirs, used=used)) == {
        "cpu": True,
        "memory": True,
        "first": True,
        "install": False,
    }


@pytest.mark.parametrize(
    ("reference", "expected"),
    [((1.9, 2, 2.1), {"first": True}), ((1.1, 2, 2.1), {}), ((1.3, 1.4, 1.5), {})],
    ids=["apart", "overlapping", "too few starts for so little"],
)
def test_few_starts_must_differ_by_more(
    reference: tuple[float, float, float], expected: dict[str, bool]
) -> None:
    ours = server("gateway", 100, _first("a", 0.9, 1, 1.1), 100)
    theirs = server("torchserve", 105, _first("b", *reference), 105)
    assert _decided(_document(ours, theirs)) == expected


def test_memory_read_once_must_differ_by_half() -> None:
    for theirs, expected in ((140, {}), (160, {"memory": True}), (60, {"memory": False})):
        servers = server("gateway", 100, 1, 100), server("torchserve", theirs, 1, 100)
        assert _decided(_document(*servers)) == expected


def test_cpu_time_needs_intervals_apart_by_the_margin() -> None:
    ours = usage(ONNX, 0.9, 1.0, 1.1)
    for low, expected in ((1.15, {}), (1.25, {"cpu": True})):
        assert _decided(_document(used=(ours, usage(TORCHSERVE, low, 1.3, 1.4)))) == expected
    # Without intervals it must be more.
    bare = msgspec.structs.replace(ours, cpu=figure("x", 1.0))
    assert _decided(_document(used=(bare, usage(TORCHSERVE, 1.25, 1.3, 1.4)))) == {}


def test_what_is_missing_or_a_stand_ins_decides_nothing() -> None:
    ours = server("gateway", 100, 1, 100)
    nothing = server("torchserve", figure("m", None), figure("f", None), 105)
    assert _decided(_document(ours, nothing)) == {}
    assert _decided(_document(ours)) == {}
    assert _decided(_document(ours, server("torchserve", 900, 9, 900, stand_in="it"))) == {}
    assert _decided(_document(server("gateway", 0, 0, 0), server("torchserve", 0, 0, 0))) == {}


def test_a_candidate_that_takes_two_servers_has_no_one_figure() -> None:
    swapped = results(
        [],
        [parity(TORCHSERVE, ONNX)],
        servers=[server("gateway", 100, 1, 100), server("torchserve", 900, 9, 900)],
    )
    assert _decided(swapped) == {}


def test_the_same_server_is_no_difference() -> None:
    twin = Subject(name="onnx/twin", backend="onnx", lineage="pytorch")
    document = results(
        [], [parity(ONNX, twin)], (ONNX, twin, DIRECT), [server("gateway", 100, 1, 100)]
    )
    assert _decided(document) == {}
