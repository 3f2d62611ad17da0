"""Tallies: Prometheus shows what it would have shown had it counted itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from gateway.config import Settings
from gateway.routing.router import open_router
from gateway.tallies import Count, Distribution
from tests.gateway.test_telemetry import samples

BUCKETS = (0.001, 0.5, 1, 64)
AMOUNTS = st.one_of(st.sampled_from([0, *BUCKETS]), st.floats(0, 100))


@given(st.lists(st.lists(AMOUNTS)))
def test_a_distribution_is_the_histogram(rounds: list[list[float]]) -> None:
    theirs, ours = (CollectorRegistry() for _ in range(2))
    histogram = Histogram("gateway_h", "h", ("m",), buckets=BUCKETS, registry=theirs).labels("m")
    series = Histogram("gateway_h", "h", ("m",), buckets=BUCKETS, registry=ours).labels("m")
    distribution = Distribution(series)
    for amounts in rounds:
        for amount in amounts:
            histogram.observe(amount)
            distribution.observe(amount)
        distribution.flush()
    expected, found = samples(generate_latest(theirs)), samples(generate_latest(ours))
    total = ("gateway_h_sum", "m")
    assert abs(found.pop(total) - expected.pop(total)) <= 1e-9 * (1 + sum(map(sum, rounds)))
    assert found == expected


def test_a_count_is_the_counter() -> None:
    registry = CollectorRegistry()
    count = Count(Counter("gateway_c", "c", registry=registry))
    count.add(2)
    count.flush()
    count.add(3)
    count.flush()
    count.flush()
    assert samples(generate_latest(registry)) == {("gateway_c_total",): 5}


async def test_a_router_that_is_closed_has_written_everything(mixed_repository: Path) -> None:
    async with open_router(Settings(repository=str(mixed_repository))) as router:
        router.telemetry.for_model("m").validated(0.001)
        router.telemetry.for_model("m").outside({"age": 2})
    found = samples(generate_latest(router.telemetry.registry))
    assert found["gateway_validation_seconds_count", "m"] == 1
    assert found["gateway_out_of_range_total", "age", "m"] == 2


COUNTING = """
import asyncio
from gateway.telemetry import Telemetry

async def main():
    telemetry = Telemetry()
    fresh = asyncio.create_task(telemetry.keep_fresh())
    telemetry.for_model("m").validated(0.001)
    await asyncio.sleep(0)
    fresh.cancel()

asyncio.run(main())
"""
ASKING = "print(Metrics().exposition().decode())"


def test_a_worker_writes_its_counts_without_being_asked(tmp_path: Path) -> None:
    def told(program: str) -> bytes:
        command = [sys.executable, "-c", program]
        environ = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        return subprocess.run(command, capture_output=True, check=True, env=environ).stdout

    told(COUNTING)
    found = samples(told("from gateway.metrics import Metrics; " + ASKING))
    assert found["gateway_validation_seconds_count", "m"] == 1
