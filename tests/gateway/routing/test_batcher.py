"""The batcher: order, isolation, cancellation, bounds, deadlines, under random interleavings."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.backends import Call, MemoryBackend, OnnxBackend, Target
from gateway.backends.base import conform
from gateway.errors import BackendError, BackendTimeout, BackendUnavailable, Overloaded
from gateway.models.derive import derive_manifest
from gateway.models.manifest import BackendSpec, Batching, Feature, Manifest, Output
from gateway.models.repository import ModelVersion, Repository
from gateway.models.rows import Outputs, Rows
from gateway.routing.answer import Answer, Results
from gateway.routing.batcher import Batcher
from tests.conftest import linear_graph
from tests.held import held, turns
from tests.waiting import until

MANIFEST = Manifest(
    "echo", (Feature("x", "number"),), (Output("y"),), {"memory": BackendSpec({"only": {}})}
)
MODEL: ModelVersion = Repository().add(MANIFEST, "1", Path())
POISON = -1.0


class Seen:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.errors: list[BackendError] = []
        self.expiries = 0

    def answered(self, results: Results, waited_s: float) -> None:
        assert waited_s >= 0
        self.batches.append(results.rows)

    def failed(self, error: BackendError, sent_at: float) -> None:
        assert sent_at <= time.monotonic()
        self.errors.append(error)

    def expired(self, requests: int) -> None:
        self.expiries += requests


def double(rows: Rows) -> Outputs:
    """``y = 2 x``; a batch that holds the poisoned value fails as a whole."""
    x = rows.columns["x"]
    if (x == POISON).any():
        raise BackendError("memory", "a row could not be computed")
    return {"y": x.astype(np.float64) * 2}


class Inline(MemoryBackend):
    """Answers calls of up to three rows on the loop's thread, as small engines do."""

    def predict_now(self, target: Target, rows: Rows) -> Outputs | None:
        if rows.count > 3:
            return None
        outputs = conform(target, self.predictor(rows), rows.count)
        self.calls.append(rows.count)
        return outputs


class Told:
    """An asker that remembers when it was told what."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.at = 0.0

    def answered(self, answer: Answer) -> None:
        self.at = time.monotonic()

    def failed(self, error: Exception) -> None:
        self.error, self.at = error, time.monotonic()


def rows_of(*values: float) -> Rows:
    return MODEL.validator.convert([{"x": value} for value in values])


def make(
    delay: float = 0.0,
    concurrency: int = 1,
    kind: type[MemoryBackend] = MemoryBackend,
    **limits: Any,
) -> tuple[Batcher, MemoryBackend, Seen]:
    backend = kind(double, delay=delay)
    seen = Seen()
    target = Target("memory", MODEL, "only", {})
    return Batcher(backend, target, Batching(**limits), seen, concurrency), backend, seen


async def ask(batcher: Batcher, *values: float, within: float = 5) -> list[float]:
    answer = await batcher.submit(rows_of(*values), Call.within(within))
    return [row["y"] for row in answer.objects]


async def test_a_lone_request_waits_for_nobody() -> None:
    batcher, _, seen = make()
    answer = await batcher.submit(rows_of(3), Call.within(1))
    assert answer.objects == [{"y": 6.0}]
    assert answer.outputs["y"].tolist() == [6.0]
    assert answer.queue_s < 0.5
    assert seen.batches == [1]
    await batcher.close()


async def test_a_call_that_is_about_to_begin_is_waited_for() -> None:
    batcher, _, _ = make(kind=Inline, delay=0.01)
    told = Told()
    batcher.enqueue(rows_of(1, 2, 3, 4), Call.within(5), told)  # too large for this thread

    async def retire() -> None:
        await batcher.finish(5)
        await batcher.close()

    # It looks between the batch's leaving the queue and its call's first step.
    await asyncio.create_task(retire())
    assert (told.error, told.at > 0) == (None, True)


async def test_what_arrives_while_busy_goes_together() -> None:
    batcher, backend, seen = make()
    gate = held(backend)
    first = asyncio.create_task(ask(batcher, 0))
    await until(lambda: backend.calls)
    rest = [asyncio.create_task(ask(batcher, i, i + 0.5)) for i in range(1, 20)]
    await turns()
    gate.set()
    assert await first == [0]
    assert await asyncio.gather(*rest) == [[2 * i, 2 * i + 1] for i in range(1, 20)]
    assert backend.calls == [1, 38]
    assert seen.batches == [1, 38]
    await batcher.close()


async def test_batches_are_bounded_and_requests_are_never_split() -> None:
    batcher, backend, _ = make(max_batch_size=10)
    gate = held(backend)
    first = asyncio.create_task(ask(batcher, 0))
    await until(lambda: backend.calls)
    sizes = [4, 4, 4, 25, 1]
    rest = [asyncio.create_task(ask(batcher, *range(size))) for size in sizes]
    await turns()
    gate.set()
    answers = await asyncio.gather(first, *rest)
    assert [len(answer) for answer in answers] == [1, *sizes]
    assert backend.calls == [1, 8, 4, 25, 1]
    await batcher.close()


async def test_one_slow_call_does_not_make_the_next_refuse_requests() -> None:
    batcher, _, _ = make(max_batch_size=1)
    for seconds in (0.005,) * 5 + (0.6,):
        batcher._cost.note(1, seconds)
    assert await asyncio.gather(*(ask(batcher, i) for i in range(10))) == [
        [2 * i] for i in range(10)
    ]
    await batcher.close()


async def test_slow_calls_in_a_row_make_it_refuse_what_would_wait_too_long() -> None:
    batcher, backend, _ = make(delay=0.005, max_batch_size=1, max_queue_wait_ms=100)
    await ask(batcher, 0)
    backend.delay = 0.1
    for value in range(6):
        await ask(batcher, value)
    answers = await asyncio.gather(*(ask(batcher, i) for i in range(10)), return_exceptions=True)
    assert any(isinstance(answer, Overloaded) for answer in answers), answers
    assert answers[0] == [0]
    await batcher.close()


@pytest.mark.parametrize("delay", [0.02, 0.05])
async def test_what_one_call_would_answer_is_not_refused_after_lone_requests(delay: float) -> None:
    """The calls take as long whatever is in them; lone ones cannot tell."""
    batcher, backend, _ = make(max_batch_size=64)
    for _ in range(10):
        batcher._cost.note(1, delay)
    assert await asyncio.gather(*(ask(batcher, i) for i in range(64))) == [
        [2 * i] for i in range(64)
    ]
    assert backend.calls == [64]
    await batcher.close()


async def test_where_rows_are_known_to_cost_much_few_may_wait() -> None:
    batcher, _, _ = make(max_batch_size=64, max_queue_wait_ms=45)
    for rows in (1, 8):
        batcher._cost.note(rows, 0.01 * rows)
    told, refused = [Told() for _ in range(40)], 0
    for asker in told:
        try:
            batcher.enqueue(rows_of(1), Call.within(5), asker)
        except Overloaded:
            refused += 1
    assert refused == 35  # four rows take 40 ms
    await until(lambda: sum(asker.at > 0 for asker in told) == 5, 10)
    await batcher.close()


async def test_several_calls_may_be_in_flight() -> None:
    batcher, backend, _ = make(concurrency=3)
    gate = held(backend)
    tasks = []
    for i in range(3):
        tasks.append(asyncio.create_task(ask(batcher, i)))
        await until(lambda: len(backend.calls) == len(tasks))
    tasks.append(asyncio.create_task(ask(batcher, 3)))
    await turns()
    assert backend.calls == [1, 1, 1]
    gate.set()
    assert await asyncio.gather(*tasks) == [[0], [2], [4], [6]]
    await batcher.close()


async def test_what_one_call_cannot_take_goes_with_the_next_free_one() -> None:
    batcher, backend, _ = make(concurrency=3, max_batch_size=2)
    gate = held(backend)
    tasks = [asyncio.create_task(ask(batcher, i)) for i in range(7)]
    await turns()
    assert backend.calls == [2, 2, 2]
    gate.set()
    assert await asyncio.gather(*tasks) == [[2 * i] for i in range(7)]
    await batcher.close()


async def test_a_queue_delay_fills_batches() -> None:
    batcher, backend, _ = make(max_queue_delay_ms=500)
    tasks = []
    for i in range(5):
        tasks.append(asyncio.create_task(ask(batcher, i)))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert backend.calls == [5]
    await batcher.close()


@pytest.mark.parametrize("kind", [MemoryBackend, Inline])
async def test_a_full_batch_is_not_delayed(kind: type[MemoryBackend]) -> None:
    batcher, backend, _ = make(kind=kind, max_batch_size=3, max_queue_delay_ms=60_000)
    tasks = [asyncio.create_task(ask(batcher, i)) for i in range(2)]
    await asyncio.sleep(0)  # these two wait for a third
    assert await asyncio.gather(*tasks, ask(batcher, 2)) == [[0], [2], [4]]  # by their deadlines
    assert backend.calls == [3]
    await batcher.close()


async def test_time_spent_waiting_for_the_backend_counts_as_delay() -> None:
    batcher, backend, seen = make(max_batch_size=2, max_queue_delay_ms=60_000)
    gate = held(backend)
    call, told = Call.within(5), Told()
    for value in (0, 1):
        batcher.enqueue(rows_of(value), call, Told())
    await until(lambda: backend.calls, 10)
    place = batcher.enqueue(rows_of(2), call, told)
    place.since -= 60  # seconds for which the first two were worked on
    gate.set()
    await until(lambda: told.at, 10)
    assert told.error is None
    assert seen.batches == [2, 1]
    await batcher.close()


async def test_who_leaves_does_not_end_the_delay_of_others() -> None:
    batcher, backend, _ = make(max_queue_delay_ms=500)
    gone = asyncio.create_task(ask(batcher, 0))
    await asyncio.sleep(0.05)
    started = time.perf_counter()
    stays = asyncio.create_task(ask(batcher, 1))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == [2]
    assert time.perf_counter() - started > 0.49
    assert backend.calls == [1]
    await batcher.close()


async def test_a_full_queue_refuses_at_once() -> None:
    batcher, backend, _ = make(max_queue_size=3, max_batch_size=1)
    gate = held(backend)
    tasks = [asyncio.create_task(ask(batcher, 0))]
    await until(lambda: backend.calls)
    tasks += [asyncio.create_task(ask(batcher, i)) for i in range(1, 4)]
    await asyncio.sleep(0)
    assert batcher.queued_rows == 3
    with pytest.raises(Overloaded) as caught:
        await ask(batcher, 9)
    assert caught.value.status == 503
    assert "Retry-After" in caught.value.headers
    gate.set()
    assert await asyncio.gather(*tasks) == [[0], [2], [4], [6]]
    assert await ask(batcher, 9) == [18]
    await batcher.close()


async def test_a_cancelled_request_gives_its_place_free() -> None:
    batcher, backend, _ = make()
    gate = held(backend)
    first = asyncio.create_task(ask(batcher, 0))
    await until(lambda: backend.calls)
    gone = asyncio.create_task(ask(batcher, 1))
    stays = asyncio.create_task(ask(batcher, 2))
    await until(lambda: batcher.queued_rows == 2)
    gone.cancel()
    await until(lambda: batcher.queued_rows == 1)
    gate.set()
    assert await first == [0]
    assert await stays == [4]
    assert backend.calls == [1, 1]
    await batcher.close()


async def test_a_client_gone_mid_batch_does_not_disturb_the_others() -> None:
    batcher, backend, _ = make()
    gate = held(backend)
    tasks = [asyncio.create_task(ask(batcher, i)) for i in range(3)]
    await until(lambda: backend.calls == [3])
    tasks[1].cancel()
    await turns()
    gate.set()
    assert await tasks[0] == [0]
    assert await tasks[2] == [4]
    await batcher.close()


async def test_a_bad_row_never_spoils_its_neighbours() -> None:
    batcher, backend, seen = make()
    gate = held(backend)
    first = asyncio.create_task(ask(batcher, 0))
    await until(lambda: backend.calls)
    tasks = [asyncio.create_task(ask(batcher, value)) for value in (1.0, POISON, 3.0)]
    await turns()
    gate.set()
    assert await first == [0]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] == [2]
    assert results[2] == [6]
    assert isinstance(results[1], BackendError)
    assert backend.calls == [1, 3, 1, 1, 1]
    assert len(seen.errors) == 2
    await batcher.close()


async def test_a_backend_that_is_down_is_not_asked_row_by_row() -> None:
    batcher, backend, seen = make(delay=0.02)
    backend.fail = BackendUnavailable("memory", "it is down")
    tasks = [asyncio.create_task(ask(batcher, i)) for i in range(5)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, BackendUnavailable) for result in results)
    assert sum(backend.calls) == 5
    assert len(seen.errors) == len(backend.calls)
    await batcher.close()


async def test_asking_row_by_row_ends_when_the_backend_goes_down() -> None:
    batcher, backend, _ = make()

    def break_down(rows: Rows) -> Outputs:
        if rows.count == 1:
            raise BackendUnavailable("memory", "it is gone now")
        raise BackendError("memory", "the worker died")

    backend.predictor = break_down
    tasks = [asyncio.create_task(ask(batcher, i)) for i in range(5)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, BackendUnavailable) for result in results)
    assert backend.calls == [5, 1]
    await batcher.close()


async def test_a_bug_in_an_adapter_reaches_every_request_of_the_batch() -> None:
    batcher, backend, _ = make()

    def bug(rows: Rows) -> Outputs:
        raise KeyError("no such output")

    backend.predictor = bug
    results = await asyncio.gather(ask(batcher, 1), ask(batcher, 2), return_exceptions=True)
    assert all(isinstance(result, KeyError) for result in results)
    backend.predictor = double
    assert await ask(batcher, 3) == [6]
    await batcher.close()


async def test_each_request_keeps_its_own_deadline() -> None:
    batcher, backend, _ = make(max_batch_size=2)
    gate = held(backend)
    slow, hasty, queued = (Call.within(seconds) for seconds in (30, 0.05, 1))
    told = [(call, Told()) for call in (slow, hasty, queued)]
    for call, asker in told:
        batcher.enqueue(rows_of(1), call, asker)
    for call, asker in told[1:]:
        await until(lambda asker=asker: asker.at)  # type: ignore[misc]
        assert isinstance(asker.error, BackendTimeout)
        assert asker.at >= call.deadline
    assert backend.calls == [2]
    assert told[1][1].at < queued.deadline
    gate.set()
    await until(lambda: told[0][1].at)
    assert told[0][1].error is None
    with pytest.raises(BackendTimeout):
        await ask(batcher, 1, within=0)
    await batcher.close()


async def test_thousands_of_deadlines_do_not_take_the_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hung backend; each of the many that wait has a deadline of its own."""
    looks = 0
    original = Batcher._expire

    def expire(batcher: Batcher) -> None:
        nonlocal looks
        looks += 1
        original(batcher)

    monkeypatch.setattr(Batcher, "_expire", expire)
    batcher, _, seen = make(delay=30)
    rows = rows_of(1)
    calls = [Call.within(0.6 + i / 5_000) for i in range(1_500)]
    told = [Told() for _ in calls]
    for call, asker in zip(calls, told, strict=True):
        batcher.enqueue(rows, call, asker)
    await asyncio.sleep(0)
    await until(lambda: all(asker.at for asker in told), 10)
    assert all(isinstance(asker.error, BackendTimeout) for asker in told)
    early = [call.deadline - asker.at for call, asker in zip(calls, told, strict=True)]
    assert max(early) < 0.002
    assert seen.expiries < len(calls)  # some were in flight
    assert looks < 100  # 0.3 s in steps of 5 ms take 60
    await batcher.close()


async def test_closing_answers_who_still_waits() -> None:
    batcher, _, _ = make(delay=1)
    tasks = [asyncio.create_task(ask(batcher, i)) for i in range(3)]
    await asyncio.sleep(0.01)
    await batcher.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, BackendTimeout) for result in results)


async def test_tensors_of_different_shape_do_not_share_a_batch() -> None:
    feature = Feature("x", "tensor", shape=(None,))
    manifest = msgspec.structs.replace(MANIFEST, features=(feature,))
    model = Repository().add(manifest, "1", Path())
    backend = MemoryBackend(
        lambda rows: {"y": rows.columns["x"].astype(np.float64).sum(axis=1)}, delay=0.02
    )
    batcher = Batcher(backend, Target("memory", model, "only", {}), Batching(), Seen())
    values = [[1], [1, 2], [3, 4], [5]]
    tasks = [
        asyncio.create_task(batcher.submit(model.validator.convert([{"x": value}]), Call.within(5)))
        for value in values
    ]
    answers = await asyncio.gather(*tasks)
    assert [answer.objects for answer in answers] == [[{"y": float(sum(v))}] for v in values]
    assert backend.calls == [1, 2, 1]
    await batcher.close()


@pytest.mark.parametrize("batch", [1, 3, "n"])
async def test_graphs_with_a_fixed_batch_answer_everyone(tmp_path: Path, batch: int | str) -> None:
    path = linear_graph(tmp_path / "g.onnx", [2.0], batch)
    manifest = derive_manifest(path)
    model = Repository().add(manifest, "1", tmp_path)
    backend = OnnxBackend(threads=1)
    target = Target("onnx", model, "original", {"artifact": "g.onnx"})
    await backend.load(target)
    batcher = Batcher(backend, target, Batching(), Seen())
    tasks = [
        asyncio.create_task(
            batcher.submit(model.validator.convert([{"x": i}] * (1 + i % 3)), Call.within(5))
        )
        for i in range(30)
    ]
    for i, answer in enumerate(await asyncio.gather(*tasks)):
        assert answer.objects == [{"y": 2.0 * i}] * (1 + i % 3)
    await batcher.close()


STEPS = st.lists(
    st.tuples(
        st.integers(1, 4),  # rows
        st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.003]),  # pause before it arrives
        st.sampled_from(["stay", "stay", "stay", "stay", "leave", "poison"]),
    ),
    min_size=1,
    max_size=40,
)


@pytest.mark.parametrize("kind", [MemoryBackend, Inline])
@given(
    steps=STEPS,
    max_batch=st.integers(1, 8),
    concurrency=st.integers(1, 3),
    delay=st.sampled_from([0.0, 0.001, 0.004]),
    queue_delay_ms=st.sampled_from([0.0, 0.0, 2.0]),
)
@settings(max_examples=40)
def test_any_interleaving_gives_everyone_their_own_rows(
    kind: type[MemoryBackend],
    steps: list[tuple[int, float, str]],
    max_batch: int,
    concurrency: int,
    delay: float,
    queue_delay_ms: float,
) -> None:
    async def scenario() -> None:
        batcher, backend, _ = make(
            delay,
            concurrency,
            kind,
            max_batch_size=max_batch,
            max_queue_delay_ms=queue_delay_ms,
            max_queue_wait_ms=60_000,
        )
        tasks: list[tuple[str, list[float], asyncio.Task[list[float]]]] = []
        for index, (count, pause, fate) in enumerate(steps):
            if pause:
                await asyncio.sleep(pause)
            values = [index + k / 10 for k in range(count)]
            if fate == "poison":
                values[-1] = POISON
            task = asyncio.create_task(ask(batcher, *values))
            tasks.append((fate, values, task))
            if fate == "leave":
                asyncio.get_running_loop().call_later(delay / 2, task.cancel)
        for fate, values, task in tasks:
            if fate == "poison":
                with pytest.raises(BackendError):
                    await task
            elif fate == "leave":
                with contextlib.suppress(asyncio.CancelledError):
                    assert await task == pytest.approx([2 * value for value in values])
            else:
                assert await task == pytest.approx([2 * value for value in values])
        longest = max(count for count, _, _ in steps)
        assert max(backend.calls, default=0) <= max(max_batch, longest)
        assert batcher.queued_rows == 0
        await until(lambda: not batcher._in_flight and batcher._free == concurrency, 10)
        await batcher.close()

    asyncio.run(scenario())
