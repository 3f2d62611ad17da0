"""``python -m loadtests.bench``: the benchmark in one run."""

from __future__ import annotations

from loadtests.bench.cli import app

app(prog_name="python -m loadtests.bench")
