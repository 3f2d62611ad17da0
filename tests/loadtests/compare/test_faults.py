"""Planted faults behind a real gateway: each is caught, and nothing is recommended on its account.

And where nothing is wrong, nothing is said.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from loadtests.compare import speed
from loadtests.compare.load.http1 import encode
from loadtests.compare.load.load import drive
from loadtests.compare.load.plan import Plan
from loadtests.compare.load.points import to_round
from loadtests.compare.results import Contrast, Parity, Point, Results
from tests.chaos.stage import BODIES
from tests.loadtests.compare.comparing import BRIEF, DECIDING, against, compared, staged
from tests.loadtests.compare.faulty import LOGGED, SWAPPED

pytestmark = pytest.mark.usefixtures("warm_driver")


def the_parity(found: Results) -> Parity:
    (parity,) = found.parity
    return parity


def named(found: Results) -> set[str]:
    return {suspect.feature for suspect in the_parity(found).suspects if suspect.named}


def require_no_move(found: Results) -> None:
    (advice,) = found.advice
    assert advice.action in ("stay", "none")
    known = found.figures()
    for sentence in advice.sentences:
        assert sentence.figures
        assert set(sentence.figures) <= set(known)


@pytest.mark.parametrize(
    ("fault", "features"),
    [("weights", set()), ("swapped", set(SWAPPED)), ("log", {LOGGED})],
)
async def test_other_answers_are_not_equivalent(
    fault: str, features: set[str], tmp_path: Path
) -> None:
    async with against(tmp_path, fault) as front:
        found = await compared(front.url, tmp_path / "repository", **BRIEF)
    parity = the_parity(found)
    assert (parity.candidate, parity.reference) == ("onnx/pytorch", "torchserve/pytorch")
    assert parity.verdict == "not equivalent"
    assert parity.largest.value is None or parity.largest.value > parity.tolerance
    assert parity.worst is not None
    assert named(found) == features
    require_no_move(found)


def log_calories(archive: Path) -> None:
    """Have the handler in an archive take the logarithm of the calories, as the talk's code did."""
    with zipfile.ZipFile(archive) as packed:
        files = {info: packed.read(info) for info in packed.infolist()}
    call = b"self._preprocess.run(rows)"
    changed = 0
    with zipfile.ZipFile(archive, "w") as packed:
        for info, content in files.items():
            if info.filename == "handler.py":
                changed = content.count(call)
                content = content.replace(call, b"self._preprocess.run(_logged(rows))") + (
                    b"\n\ndef _logged(rows):\n"
                    b"    import numpy as np\n"
                    b"    columns = dict(rows.columns)\n"
                    b"    columns['%s'] = np.log(columns['%s'])\n"
                    b"    return Rows(columns, rows.count)\n"
                ) % (LOGGED.encode(), LOGGED.encode())
            packed.writestr(info, content)
    assert changed == 1


@pytest.mark.java
async def test_a_real_torchserve_whose_handler_takes_the_logarithm(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        archive = stage.repository / "weight-change" / "1" / "weight-change.mar"
        log_calories(archive)
        server = await stage.torchserve()
        front = await stage.front([server], required_backends="onnx,torchserve")
        found = await compared(front.url, stage.repository, **BRIEF)
    parity = the_parity(found)
    assert parity.verdict == "not equivalent"
    assert named(found) == {LOGGED}
    words = next(suspect.words for suspect in parity.suspects if suspect.named)
    assert "torchserve/pytorch hardly reacts to daily_calories_consumed" in words
    assert found.subjects[1].stand_in is None
    require_no_move(found)


def alone(found: Results) -> Contrast:
    """The contrast of the median latency that one client sees."""
    (one,) = [
        contrast
        for contrast in found.contrasts
        if (contrast.shape, contrast.connections, contrast.measure) == ("closed", 1, "p50")
    ]
    return one


@pytest.mark.alone
async def test_five_milliseconds_are_seen(tmp_path: Path) -> None:
    found = {}
    for fault in ("none", "slow"):
        async with against(tmp_path / fault, fault) as front:
            repository = tmp_path / fault / "repository"
            found[fault] = await compared(front.url, repository, candidate="torchserve", **DECIDING)
    usual, slowed = (alone(found[fault]).difference for fault in ("none", "slow"))
    assert alone(found["slow"]).candidate == "torchserve/pytorch"
    assert usual.value is not None
    assert slowed.value is not None
    assert slowed.low is not None
    assert slowed.high is not None
    # The whole interval is on one side of zero, and holds what was planted and the way there.
    assert slowed.low > 0
    assert 4 < slowed.value < 12
    # And it was the delay, not the way: without it they are much nearer to each other.
    assert 3.5 < slowed.value - usual.value < 8
    (advice,) = found["slow"].advice
    assert advice.action == "stay"
    assert advice.sentences


def points_of(found: Results, subject: str) -> list[Point]:
    return [point for point in found.points if point.subject == subject]


async def test_one_failure_in_a_hundred_is_shown_and_bars_advice(tmp_path: Path) -> None:
    async with against(tmp_path, "failing") as front:
        given = DECIDING | {"direct": True}
        found = await compared(front.url, tmp_path / "repository", **given)
    shares = []
    for subject, kind in (
        ("torchserve/pytorch", "502 backend-error"),
        ("torchserve/pytorch direct", "500"),
    ):
        (point,) = points_of(found, subject)
        sent = [one.sent for one in point.rounds]
        assert point.error_share.value is not None
        shares.append(point.error_share.value)
        # Every hundredth call, from wherever each round began and however few calls it made.
        fewest, most = sum(n // 100 for n in sent), sum(-(-n // 100) for n in sent)
        assert fewest <= round(shares[-1] * sum(sent)) <= most
        assert {error for one in point.rounds for error in one.errors} == {kind}
    (ours,) = points_of(found, "onnx/pytorch")
    assert ours.error_share.value == 0
    (advice,) = found.advice
    assert (advice.action, advice.sentences) == ("none", [])
    # A call that fails is made again: that is no difference of the answers.
    assert the_parity(found).verdict == "equivalent"
    assert len(advice.silent_because) == 2
    for why, share in zip(advice.silent_because, shares, strict=True):
        told = re.search(
            r"TorchServe .*failed ([\d.]+) % of its requests with one client \(50", why
        )
        assert told is not None, why
        assert float(told[1]) == pytest.approx(100 * share, abs=0.06)  # as it is rounded


async def test_a_stand_in_is_marked_and_says_nothing(tmp_path: Path) -> None:
    async with against(tmp_path, "slow", stand_in="a test's own") as front:
        given = DECIDING | {"direct": True, "rounds": 5}
        found = await compared(front.url, tmp_path / "repository", **given)
    assert {subject.name: subject.stand_in for subject in found.subjects} == {
        "onnx/pytorch": None,
        "torchserve/pytorch": "a test's own",
    }
    assert "torchserve was not asked directly: a stand-in (a test's own)" in "; ".join(found.notes)
    marked = [figure for figure in found.figures().values() if figure.stand_in is not None]
    assert {figure.stand_in for figure in marked} == {"a test's own"}
    of_server = [point.p50 for point in points_of(found, "torchserve/pytorch")]
    assert all(figure in marked for figure in of_server)
    assert all(contrast.ratio in marked for contrast in found.contrasts)
    (advice,) = found.advice
    assert (advice.action, advice.sentences) == ("none", [])
    assert advice.silent_because == [
        "TorchServe was not measured: a stand-in answered in its place"
    ]


@pytest.mark.alone
@pytest.mark.timeout(600)
async def test_of_a_backend_and_itself_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One gateway answers all of them, so it is warm from the first on.
    monkeypatch.setattr(speed, "_FIRST_S", 0.05)
    runs, spoke = 20, []
    given = BRIEF | {"rounds": 5, "seconds": 0.1, "clients": (1, 16)}
    backends = ("onnx/pytorch", "onnx/pytorch")
    async with staged(tmp_path) as stage:
        front = await stage.front()
        for seed in range(runs):
            found = await compared(front.url, None, backends=backends, seed=seed, **given)
            assert the_parity(found).verdict == "equivalent"
            assert len(found.contrasts) == 2 * 3
            (advice,) = found.advice
            # It is silent because it has looked, and for no other reason.
            if not advice.sentences:
                assert advice.silent_because[0] == "no difference beyond 10 % was decided"
            if advice.action != "none" or advice.sentences:
                spoke.append([advice.action, *(sentence.text for sentence in advice.sentences)])
    print(f"{len(spoke)} of {runs} said something: {spoke}")
    assert len(spoke) <= 1, spoke


async def test_a_stalled_gateway_is_seen_in_the_tail(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        front = await stage.front()
        where = urlsplit(front.url)
        plan = Plan(
            requests=[
                encode("POST", front.url, "/v1/predict?backend=onnx", {}, body) for body in BODIES
            ],
            host=where.hostname or "",
            port=where.port or 0,
            connections=256,
            rate=200,
            seconds=20,
            seed=3,
        )
        driving = asyncio.create_task(drive(plan))
        await asyncio.sleep(8)
        assert front.pid is not None
        os.kill(front.pid, signal.SIGSTOP)
        await asyncio.sleep(1)
        os.kill(front.pid, signal.SIGCONT)
        one = to_round(await driving)
    assert one.errors == {}
    assert one.p50 is not None
    assert one.p99 is not None
    assert one.longest is not None
    # 5 % of the arrivals waited, the first of them for a second.
    assert one.p50 < 100
    assert one.p99 >= 500
    assert one.longest >= 900
