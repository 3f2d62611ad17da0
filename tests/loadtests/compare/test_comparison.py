"""A whole comparison in this process: what is measured, and what is said of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests import payloads
from loadtests.compare.comparison import Comparison
from loadtests.compare.errors import CompareError
from loadtests.compare.options import Options
from loadtests.compare.progress import Silent
from loadtests.compare.stage import find_model
from loadtests.compare.subjects import ask_offer
from tests.conftest import REPOSITORY
from tests.loadtests.compare.comparing import BRIEF, MACHINE, against, compared

pytestmark = pytest.mark.usefixtures("warm_driver")

MANIFEST = find_model(REPOSITORY, None).manifest


async def test_lineages_are_far_apart_and_that_is_all(lonely_gateway: str) -> None:
    found = await compared(lonely_gateway, REPOSITORY, **BRIEF)
    assert [subject.name for subject in found.subjects] == ["onnx/pytorch", "onnx/tensorflow"]
    assert (found.parity, found.advice, found.contrasts) == ([], [], [])
    (distance,) = found.distances
    assert (distance.one, distance.other) == ("onnx/pytorch", "onnx/tensorflow")
    assert distance.largest.value is not None
    assert distance.largest.value > 1e-2
    notes = "; ".join(found.notes)
    assert "torchserve/pytorch was not compared: " in notes
    assert "tfserving/tensorflow was not compared: " in notes
    assert "cold starts were not measured" in notes
    assert (found.model, found.version, found.machine) == ("weight-change", "1", MACHINE)
    assert found.seconds > 0


async def test_without_the_repository_no_files_are_looked_at(lonely_gateway: str) -> None:
    found = await compared(lonely_gateway, None, backends=("onnx/pytorch",), **BRIEF)
    assert found.servers == []
    assert any("repository is not at hand (--repository)" in note for note in found.notes)
    (point,) = found.points
    assert point.requests_per_s.value
    (used,) = found.usage
    assert used.cpu.value is not None
    assert used.price is None


async def test_the_gateway_is_a_server_of_its_own(lonely_gateway: str) -> None:
    found = await compared(lonely_gateway, REPOSITORY, backends=("onnx/pytorch",), **BRIEF)
    (server,) = found.servers
    assert server.name == "gateway"
    for figure in (server.memory_idle, server.memory_loaded, server.install, server.artifact):
        assert figure.value is not None
        assert figure.value > 0
    assert server.first_prediction.value is None


async def test_parity_over_a_file(lonely_gateway: str, tmp_path: Path) -> None:
    rows = payloads.generated(MANIFEST, 30, seed=3)
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows))
    given = BRIEF | {"rows": path, "backends": ("onnx/pytorch",) * 2}
    found = await compared(lonely_gateway, None, **given)
    (parity,) = found.parity
    assert parity.rows["file"] == 30
    assert set(parity.rows) == {"examples", "edges", "file"}
    assert (parity.reference, parity.candidate) == ("onnx/pytorch (2)", "onnx/pytorch")
    ids = list(found.figures())
    assert len(ids) == len(set(ids))


async def test_both_ways_to_the_original(tmp_path: Path) -> None:
    """The original is asked through the gateway and itself; the candidate is held against both."""
    async with against(tmp_path, "none") as front:
        given = BRIEF | {"rounds": 2, "direct": True}
        found = await compared(front.url, tmp_path / "repository", **given)
    (parity,) = found.parity
    assert parity.verdict == "equivalent"
    assert {(one.candidate, one.reference) for one in found.contrasts} == {
        ("onnx/pytorch", "torchserve/pytorch"),
        ("onnx/pytorch", "torchserve/pytorch direct"),
    }
    direct = next(point for point in found.points if point.subject.endswith(" direct"))
    assert direct.error_share.value == 0
    assert direct.requests_per_s.value
    named = [server.name for server in found.servers]
    assert named == ["gateway", "torchserve"]
    assert found.servers[1].processes == ["python: tests.loadtests.compare.faulty"]


async def test_a_candidate_must_be_there(lonely_gateway: str) -> None:
    with pytest.raises(CompareError, match=r"^there is no candidate 'torchserve': onnx/pytorch"):
        await compared(lonely_gateway, None, candidate="torchserve", **BRIEF)


async def test_a_gateway_that_ends_meanwhile(tmp_path: Path) -> None:
    async with against(tmp_path, "none") as front:
        offer = await ask_offer(front.url, None, None, [])
    comparison = Comparison(offer, Options(**BRIEF), None, MACHINE, Silent())
    with pytest.raises(CompareError, match=r"did not answer"):
        await comparison.run()
