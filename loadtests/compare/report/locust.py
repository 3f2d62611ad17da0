"""What the report says of the runs of Locust."""

from __future__ import annotations

from loadtests.compare.report.numerals import number, percent
from loadtests.compare.report.table import Cell, Column, Table, named, shown, ungrouped, words
from loadtests.compare.results import LocustRun, Results


def runs(results: Results) -> Table:
    """A row for each run."""
    columns = [
        Column("backend", numeric=False),
        Column("users"),
        Column("time", "s"),
        Column("requests"),
        Column("failures"),
        Column("requests/s"),
        Column("p50", "ms"),
        Column("p95", "ms"),
        Column("p99", "ms"),
    ]
    return ungrouped("Runs of Locust", columns, [_run(run) for run in results.locust])


def _run(run: LocustRun) -> list[Cell]:
    share = percent(run.failures / run.requests) if run.requests and run.failures else ""
    return [
        named(run.backend, run.stand_in),
        words(f"{run.users:,}", remark=run.shape),
        words(number(run.seconds)),
        words(f"{run.requests:,}"),
        words(f"{run.failures:,}", remark=share),
        *(shown(figure) for figure in (run.requests_per_s, run.p50, run.p95, run.p99)),
    ]
