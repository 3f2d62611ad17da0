"""Shadow traffic: what it finds, and that no candidate can make it cost the caller anything."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from gateway.backends import Call, MemoryBackend, Target
from gateway.errors import BackendError, BackendUnavailable
from gateway.models.manifest import BackendSpec, Batching, Feature, Manifest, Output
from gateway.models.repository import ModelVersion, Repository
from gateway.models.rows import Outputs, Rows
from gateway.routing.answer import Answer, Results
from gateway.routing.batcher import Batcher
from gateway.routing.shadow import Limits, Shadow
from gateway.routing.shadow_report import Requests, ShadowReport
from tests.waiting import until

MANIFEST = Manifest(
    "echo", (Feature("x", "number"),), (Output("y"),), {"memory": BackendSpec({"only": {}})}
)
MODEL: ModelVersion = Repository().add(MANIFEST, "1", Path())
CANDIDATE = Target("memory", MODEL, "only", {})
TOLERANCE = 0.001
POISON = -1.0


class Seen:
    """Observes a shadow."""

    def __init__(self) -> None:
        self.rows = 0
        self.agreeing = 0
        self.drops: list[str] = []
        self.failures = 0

    def compared(self, requests: int, rows: int, agreeing: int) -> None:
        self.rows += rows
        self.agreeing += agreeing

    def dropped(self, reason: str) -> None:
        self.drops.append(reason)

    def failed(self) -> None:
        self.failures += 1


def double(rows: Rows) -> Outputs:
    return {"y": rows.columns["x"].astype(np.float64) * 2}


class Stage:
    """A shadow whose candidate is a memory backend behind a batcher."""

    def __init__(self, predictor: Callable[[Rows], Outputs], share: float, **limits: Any) -> None:
        self.backend = MemoryBackend(predictor)
        self.batcher = Batcher(self.backend, CANDIDATE, Batching(), None)
        self.seen = Seen()
        # Most tests are about what is found, and need not wait for the shadow to make room.
        given = Limits(**{"busy": 1.0} | limits)
        self.shadow = Shadow(self.ask, CANDIDATE, share, TOLERANCE, self.seen, False, given)

    def ask(self, target: Target, rows: Rows, call: Call) -> Awaitable[Answer]:
        return self.batcher.submit(rows, call)

    def offer(self, *values: float, key: str = "id", size: int = 20) -> bool:
        """Offer a request that was answered ``2 x``, rows in the middle of a batch."""
        rows = MODEL.validator.convert([{"x": value} for value in values])
        batch = np.array([7.0, *values, 7.0]) * 2
        answer = Answer(Results({"y": batch}, CANDIDATE, len(batch), 0.001), 1, len(batch) - 1, 0.0)
        return self.shadow.offer(rows, answer, 0.002, key, size)

    @property
    def requests(self) -> Requests:
        return self.shadow.report().requests

    async def settle(self) -> ShadowReport:
        """The report once nothing waits any more."""
        return await settled(self.shadow)


async def settled(shadow: Shadow) -> ShadowReport:
    """The shadow's report once none of its requests waits."""
    for _ in range(2_000):
        report = shadow.report()
        if not report.requests.waiting:
            return report
        await asyncio.sleep(0.002)
    raise AssertionError(f"{report.requests.waiting} requests still wait")


@asynccontextmanager
async def stage(
    predictor: Callable[[Rows], Outputs] = double, share: float = 1.0, **limits: Any
) -> AsyncIterator[Stage]:
    made = Stage(predictor, share, **limits)
    yield made
    await made.shadow.close()
    await made.batcher.close()


async def test_the_right_candidate_agrees() -> None:
    async with stage() as made:
        for i in range(300):
            assert made.offer(i, i + 0.5)
        report = await made.settle()
        assert (report.requests.copied, report.requests.compared) == (300, 300)
        assert (report.rows_compared, report.rows_agreeing, report.agreement) == (600, 600, 1.0)
        assert report.interval[0] > 0.99
        assert report.largest_difference is None
        assert (made.seen.rows, made.seen.agreeing) == (600, 600)
        assert report.latency_ms.primary.p99 == 2.0
        assert report.latency_ms.candidate.p50 is not None
        assert len(made.backend.calls) < 30  # waiting requests went together


async def test_a_slightly_wrong_candidate_is_found_with_the_payload() -> None:
    def wrong(rows: Rows) -> Outputs:
        y = double(rows)["y"].astype(np.float64)
        y[rows.columns["x"] >= 40] += 0.1  # type: ignore[operator]
        y[rows.columns["x"] == 42] += 0.4
        return {"y": y}

    async with stage(wrong) as made:
        for i in range(0, 50, 2):
            made.offer(i, i + 1, key=f"request-{i}")
        report = await made.settle()
        assert (report.rows_compared, report.rows_agreeing) == (50, 40)
        assert report.agreement == 0.8
        assert report.interval == pytest.approx((0.670, 0.888), abs=0.001)
        worst = report.largest_difference
        assert worst is not None
        assert worst.difference == pytest.approx(0.5)
        assert (worst.output, worst.payload, worst.request_id) == ("y", {"x": 42.0}, "request-42")
        assert (worst.primary, worst.candidate) == (84.0, 84.5)
        document = msgspec.json.decode(msgspec.json.encode(report))
        assert document["largest_difference"]["payload"] == {"x": 42.0}
        assert document["candidate"] == {"backend": "memory", "lineage": "only", "version": "1"}


async def test_nan_for_a_number_is_an_infinite_difference() -> None:
    async with stage(lambda rows: {"y": np.full(rows.count, np.nan)}) as made:
        made.offer(1)
        report = await made.settle()
        assert report.agreement == 0
        assert report.largest_difference is not None
        assert report.largest_difference.difference is None
        assert report.largest_difference.primary == 2.0


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 1 / 3, 0.5, 0.999, 1.0])
async def test_the_share_is_met_exactly_and_for_every_client(share: float) -> None:
    async with stage(share=share, max_rows=1) as made:
        taken = []
        for _ in range(10_000):
            before = made.requests.copied + len(made.seen.drops)
            made.offer(1)
            taken.append(made.requests.copied + len(made.seen.drops) - before)
        assert abs(sum(taken) - share * 10_000) <= 3
        # Of a client that sends ten requests in turn, each is copied as often.
        for first in range(10):
            assert abs(sum(taken[first::10]) - share * 1_000) <= 10


async def test_a_hanging_candidate_holds_a_bounded_number_of_rows_and_calls() -> None:
    asked: list[int] = []
    late = asyncio.Event()

    async def hang(target: Target, rows: Rows, call: Call) -> Answer:
        asked.append(rows.count)
        assert call.remaining <= 0.2  # when it must end by itself
        await (late if len(asked) <= 3 else asyncio.Event()).wait()
        raise BackendUnavailable("memory", "late")

    limits = Limits(max_rows=500, batch_rows=10, concurrency=3, timeout_s=0.2, busy=1.0)
    made = Stage(double, 1.0)
    made.shadow = Shadow(hang, CANDIDATE, 1.0, TOLERANCE, made.seen, False, limits)
    taken = []
    for _ in range(50):
        started = time.perf_counter()
        for _ in range(40):
            made.offer(1)
        taken.append(time.perf_counter() - started)
        await asyncio.sleep(0)
    assert statistics.median(taken) / 40 < 0.005  # not the longest: the machine may have stalled
    assert made.requests.waiting == 500  # those in flight are held, too
    assert asked == [10, 10, 10]
    assert made.seen.drops == ["queue_full"] * 1_500
    late.set()
    await until(lambda: made.requests.failed == 30)
    assert made.shadow.report().last_error == "memory: late"
    await made.shadow.close()


async def test_bytes_are_bounded_and_what_can_never_fit_is_said_to_be_too_large() -> None:
    async with stage(max_rows=3, max_bytes=100) as made:
        made.backend.delay = 0.05
        assert not made.offer(1, 2, 3, 4)
        assert not made.offer(1, size=100)  # and eight bytes of outputs
        assert made.offer(1, size=60)
        assert not made.offer(1, size=60)
        assert made.seen.drops == ["too_large", "too_large", "queue_full"]
        await made.settle()
        assert made.offer(1, size=60)


async def test_arrays_count_where_they_have_been_made() -> None:
    async with stage(max_bytes=1_000) as made:
        # A small body may become a large array, as a picture does.
        rows = Rows({"x": np.zeros(200)}, 200)
        assert rows.nbytes == 1_600
        answer = Answer(Results({"y": np.zeros(1)}, CANDIDATE, 1, 0.001), 0, 1, 0.0)
        assert not made.shadow.offer(rows, answer, 0.002, "id", 20)
        assert made.seen.drops == ["too_large"]
        assert MODEL.validator.decode(b'{"x": 1}').nbytes == 0


async def test_a_dead_candidate_is_asked_ever_more_rarely_and_found_again() -> None:
    asked_at: list[float] = []

    def down(rows: Rows) -> Outputs:
        asked_at.append(time.monotonic())
        raise BackendUnavailable("memory", "it is down")

    async with stage(down, failures=3, pause_s=0.1, max_pause_s=0.2, concurrency=1) as made:
        refused = 0
        deadline = time.monotonic() + 20
        while len(asked_at) < 8:
            assert time.monotonic() < deadline
            refused += not made.offer(1)
            await asyncio.sleep(0.002)
        # Three calls, a pause of 0.1 s, and one call before each pause of 0.2 s.
        _, _, first, *later = (after - before for before, after in itertools.pairwise(asked_at))
        assert first >= 0.1
        assert min(later) >= 0.2
        assert min(later[1:]) < 0.4  # not doubled for ever: one at least met no stall
        report = made.shadow.report()
        assert report.requests.dropped_by_reason["candidate_failing"] == refused > 20
        assert report.requests.failed == made.seen.failures
        assert report.last_error == "memory: it is down"
        assert report.agreement is None
        made.backend.predictor = double
        await asyncio.sleep(0.25)
        assert made.offer(1)
        assert (await made.settle()).requests.compared > 0


async def test_a_row_the_candidate_cannot_answer_fails_alone() -> None:
    def poisoned(rows: Rows) -> Outputs:
        if (rows.columns["x"] == POISON).any():
            raise BackendError("memory", "a row could not be computed")
        return double(rows)

    async with stage(poisoned) as made:
        for value in (1, 2, POISON, 3, 4):
            made.offer(value)
        report = await made.settle()
        assert (report.requests.compared, report.requests.failed) == (4, 1)
        assert report.agreement == 1


async def test_requests_of_different_shape_are_not_asked_for_together() -> None:
    varying = (Feature("x", "tensor", shape=(None,)),), (Output("y", shape=(None,)),)
    manifest = msgspec.structs.replace(MANIFEST, features=varying[0], outputs=varying[1])
    model = Repository().add(manifest, "1", Path())
    target = Target("memory", model, "only", {})
    backend = MemoryBackend(lambda rows: {"y": rows.columns["x"].astype(np.float64)})
    batcher = Batcher(backend, target, Batching(), None)
    shadow = Shadow(
        lambda _, rows, call: batcher.submit(rows, call),
        target,
        share=1.0,
        tolerance=TOLERANCE,
        observer=Seen(),
        local=True,
        limits=Limits(busy=1.0),
    )
    for value in ([1.0], [2.0], [3.0, 4.0], [5.0]):
        rows = model.validator.convert([{"x": value}])
        results = Results({"y": np.array([value])}, CANDIDATE, 1, 0.001)
        shadow.offer(rows, Answer(results, 0, 1, 0.0), 0.001, "id", 10)
    await settled(shadow)
    assert backend.calls == [2, 1, 1]
    assert shadow.report().rows_agreeing == 4
    await shadow.close()
    await batcher.close()


async def test_a_bug_in_the_candidate_does_not_end_the_shadow() -> None:
    def bug(rows: Rows) -> Outputs:
        raise KeyError("no such thing")

    async with stage(bug) as made:
        made.offer(1)
        assert "KeyError" in str((await made.settle()).last_error)
        made.backend.predictor = double
        made.offer(1)
        assert (await made.settle()).requests.compared == 1


async def test_the_time_of_a_candidate_in_this_process_is_bounded() -> None:
    begun: list[float] = []
    ended: list[float] = []

    def heavy(rows: Rows) -> Outputs:
        begun.append(time.monotonic())
        time.sleep(0.005)
        ended.append(time.monotonic())
        return double(rows)

    made = Stage(heavy, 1.0)
    limits = Limits(busy=0.1, max_rows=50)
    made.shadow = Shadow(made.ask, CANDIDATE, 1.0, TOLERANCE, made.seen, True, limits)
    deadline = time.monotonic() + 20
    while len(ended) < 8:
        assert time.monotonic() < deadline
        made.offer(1)
        await asyncio.sleep(0.001)
    # 5 ms of work, then 45 ms of rest. Where the machine stalls they are longer, and a rest after
    # longer work is longer, too.
    rests = [
        (after - end) / (end - start)
        for start, end, after in zip(begun, ended, begun[1:], strict=False)
    ]
    assert min(rests) >= 9
    assert min(rests) < 15
    assert made.shadow.report().rows_compared > len(made.backend.calls)
    await made.shadow.close()
    await made.batcher.close()


async def test_the_batch_an_answer_was_part_of_is_not_kept() -> None:
    async with stage() as made:
        made.backend.delay = 0.05
        batch = np.zeros(256)
        kept = weakref.ref(batch)
        answer = Answer(Results({"y": batch}, CANDIDATE, 256, 0.001), 3, 4, 0.0)
        assert made.shadow.offer(MODEL.validator.convert([{"x": 0}]), answer, 0.001, "id", 10)
        del batch, answer
        assert kept() is None
        assert (await made.settle()).agreement == 1


async def test_closing_cancels_what_is_in_flight() -> None:
    cancelled = asyncio.Event()

    async def hang(target: Target, rows: Rows, call: Call) -> Answer:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError("nobody waits for so long")

    made = Stage(double, 1.0)
    made.shadow = Shadow(hang, CANDIDATE, 1.0, TOLERANCE, made.seen, False)
    made.offer(1)
    await asyncio.sleep(0.01)
    tasks = len(asyncio.all_tasks())
    await made.shadow.close()
    assert cancelled.is_set()
    assert len(asyncio.all_tasks()) == tasks - 1
    assert not made.offer(1)
