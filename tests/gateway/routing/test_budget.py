"""The retry budget against a clock that the tests move."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.budget import RetryBudget

RATIO, MIN_PER_S, WINDOW_S = 0.2, 10.0, 10.0


class Traffic:
    """Sends requests through a budget on a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.budget = RetryBudget(RATIO, MIN_PER_S, WINDOW_S, clock=lambda: self.now)

    def pass_by(self, seconds: float, requests: int) -> None:
        """So many requests, evenly, none of which fails."""
        for _ in range(requests):
            self.now += seconds / requests
            self.budget.request()

    def fail(self, seconds: float, requests: int) -> int:
        """So many requests, evenly, each of which fails once and asks to be tried again."""
        retries = 0
        for _ in range(requests):
            self.now += seconds / requests
            self.budget.request()
            retries += self.budget.allow()
        return retries


def test_under_lasting_failure_a_fifth_and_the_floor_are_tried_again() -> None:
    traffic = Traffic()
    first = traffic.fail(seconds=30, requests=15_000)
    assert first <= RATIO * 15_000 + MIN_PER_S * (30 + WINDOW_S)
    lasting = traffic.fail(seconds=30, requests=15_000)
    expected = RATIO * 15_000 + MIN_PER_S * 30
    assert 0.97 * expected <= lasting <= 1.03 * expected


def test_a_quiet_gateway_may_retry() -> None:
    traffic = Traffic()
    traffic.pass_by(seconds=3600, requests=1)
    assert traffic.fail(seconds=0.1, requests=20) == 20


def test_a_failure_amid_good_traffic_is_tried_again_at_once() -> None:
    traffic = Traffic()
    traffic.pass_by(seconds=60, requests=60_000)
    # A fifth of the last 10 s' 10,000 requests and the floor of 100: a batch lost is made good.
    assert traffic.fail(seconds=0.01, requests=2_000) == 2_000


def test_traffic_long_past_gives_nothing() -> None:
    traffic = Traffic()
    traffic.pass_by(seconds=10, requests=100_000)
    assert traffic.budget.allow()
    traffic.now += 20 * WINDOW_S
    retries = sum(traffic.budget.allow() for _ in range(1_000))
    assert retries == MIN_PER_S * WINDOW_S


def test_a_long_time_without_a_failure_counts_by_its_mean_rate() -> None:
    traffic = Traffic()
    traffic.pass_by(seconds=3600, requests=36_000)
    retries = sum(traffic.budget.allow() for _ in range(1_000))
    assert abs(retries - (RATIO * 10 + MIN_PER_S) * WINDOW_S) <= 1


@given(
    st.lists(
        st.tuples(st.floats(0, 30), st.integers(0, 300), st.integers(0, 300)),
        min_size=1,
        max_size=30,
    )
)
def test_no_traffic_gets_more_than_the_budget(steps: list[tuple[float, int, int]]) -> None:
    traffic = Traffic()
    requests = retries = 0
    for seconds, sent, asked in steps:
        traffic.now += seconds
        for _ in range(sent):
            traffic.budget.request()
        requests += sent
        retries += sum(traffic.budget.allow() for _ in range(asked))
        assert retries <= RATIO * requests + MIN_PER_S * (traffic.now + WINDOW_S) + 1e-6
