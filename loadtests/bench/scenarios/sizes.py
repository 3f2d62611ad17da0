"""Many rows in one body."""

from __future__ import annotations

from loadtests.bench.bench import Bench
from loadtests.bench.compare import ROWS, compare
from loadtests.bench.opponents import fastapi, gateway
from loadtests.bench.report import Finding, Target
from loadtests.bench.samples import fall
from serving.spread import Spread

#: Enough that a body waits whenever one is answered. All of the largest together, 16,384 rows, are
#: far fewer than may wait (``max_queue_size``), so that none is refused.
_CONNECTIONS = 4
_LARGE = 1024
_SIZES = (1, 8, 64, 512, 4096)


async def large_body(bench: Bench) -> list[Finding]:
    """1,024 rows a body."""
    name = "rows-1024"
    ours, usual = gateway.endpoint(bench.place), fastapi.list_endpoint(bench.place)
    workload = bench.workload(_CONNECTIONS, _LARGE)
    async with bench.fleet() as fleet:
        entries = await bench.compete(name, fleet, [ours, usual], workload)
    what = f"{_LARGE:,} rows in one body: rows/s ÷ FastAPI + ONNX Runtime with a list body"
    return [compare(what, name, entries.get(ours), entries.get(usual), Target("≥", 4), ROWS)]


async def curve(bench: Bench) -> list[Finding]:
    """Rows per second against the rows of a body, the sizes in turn in every round."""
    name = "sizes"
    ours = gateway.endpoint(bench.place)
    pairs = [(ours, bench.workload(_CONNECTIONS, size)) for size in _SIZES]
    async with bench.fleet() as fleet:
        entries = list((await bench.rotate(name, fleet, pairs)).values())
    complete = len(entries) == len(_SIZES)
    rounds = zip(*(entry.rows_per_s for entry in entries), strict=True)
    figure = Spread.of(fall(values) for values in rounds) if complete else None
    medians = [Spread.of(entry.rows_per_s) for entry in entries]
    return [
        Finding(
            scenario=name,
            what=f"rows/s for bodies of {', '.join(f'{size:,}' for size in _SIZES)} rows: "
            "fall after the maximum",
            target=Target("≤", 20, "%"),
            figure=figure,
            unit="rows/s",
            ours=max(medians, key=lambda spread: spread.median, default=None),
            errors=sum(entry.errors for entry in entries),
            remark=" · ".join(f"{spread.median:,.0f}" for spread in medians)
            if complete
            else "not measured",
        )
    ]
