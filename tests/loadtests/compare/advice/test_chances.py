"""How often advice is given where nothing differs, and where something does."""

from __future__ import annotations

import pytest

from loadtests.compare.advice import advise
from loadtests.compare.results import Advice, Subject
from loadtests.compare.statistics import mean_interval
from tests.loadtests.compare.factories import Noise, parity, results, server, usage

ADDRESS = "http://127.0.0.1:1"
#: The same backend three times over, the second behind a server of its own.
ONE = Subject(name="one/pytorch", backend="one", lineage="pytorch")
TWO = Subject(name="two/pytorch", backend="two", lineage="pytorch", server=ADDRESS)
DIRECT = Subject(
    name="two/pytorch direct", backend="two", lineage="pytorch", direct=True, server=ADDRESS
)


def _compared(
    seed: int, rounds: int, noise: float, faster: float = 1.0, added_ms: float = 0.0
) -> Advice:
    machine = Noise(seed, noise, drift=0.1, tail=1.5 * noise)
    points = machine.points((ONE, TWO, DIRECT), rounds, {ONE.name: faster}, {ONE.name: added_ms})
    # One reading of the memory, three starts, the CPU time of every round.
    readings = Noise(seed + 1, 0.04)
    servers = [
        server(
            name,
            readings.cost(f"{name}.memory", 100, "MB", 1),
            machine.cost(f"{name}.first", 2, "s", 3),
            180,
        )
        for name in ("gateway", "two")
    ]
    used = []
    for subject in (ONE, TWO, DIRECT):
        values = [machine.cost("cpu", 0.1, "s", 1).value for _ in range(rounds)]
        cpu = mean_interval(values)
        assert cpu.value is not None
        assert cpu.low is not None
        assert cpu.high is not None
        used.append(usage(subject, cpu.low, cpu.value, cpu.high))
    document = results(points, [parity(ONE, TWO)], (ONE, TWO, DIRECT), servers, used)
    (advice,) = advise(document)
    return advice


def test_a_comparison_with_itself_recommends_nothing() -> None:
    """At least 19 of 20; each of these settings was simulated with thousands of comparisons."""
    silent = [
        advice.action == "none" and not advice.sentences
        for seed in range(40)
        for rounds in (3, 5, 10)
        for noise in (0.03, 0.08, 0.15)
        for advice in [_compared(seed, rounds, noise)]
    ]
    assert sum(silent) / len(silent) >= 19 / 20


@pytest.mark.parametrize(
    ("faster", "added_ms", "expected"), [(1.5, 0.0, "move"), (1.0, 5.0, "stay")]
)
def test_what_differs_is_found(faster: float, added_ms: float, expected: str) -> None:
    """In five rounds with 10 % of noise in each of both: 1.5 times as fast, 5 ms slower."""
    actions: list[str] = [_compared(seed, 5, 0.1, faster, added_ms).action for seed in range(25)]
    assert actions.count(expected) >= 20
    assert set(actions) <= {expected, "none"}
