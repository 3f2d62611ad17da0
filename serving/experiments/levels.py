"""A graph as it was exported against what ONNX Runtime makes of it at each optimization level."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import onnxruntime as ort

from serving.experiments.findings import Level, LeveledGraph, Levels, Timing
from serving.experiments.machine import describe
from serving.experiments.plan import Plan, Step
from serving.experiments.sessions import (
    caller,
    largest_difference,
    make_session,
    operators,
)
from serving.experiments.subject import Subject
from serving.experiments.timing import alternate
from serving.spread import Spread

ORIGINAL = "original"
REFERENCE = "disable_all"
#: Rows over which the levels' answers are compared.
ROWS = 512
#: Sessions of each form that are made per round.
_SESSIONS = 5


def level_names() -> dict[str, ort.GraphOptimizationLevel]:
    """The levels of the installed ONNX Runtime by name, the lowest first."""
    members = ort.GraphOptimizationLevel.__members__
    return {
        name.removeprefix("ORT_").removeprefix("ENABLE_").lower(): level
        for name, level in sorted(members.items(), key=lambda member: int(member[1]))
    }


def run(plan: Plan, subjects: list[Subject], step: Step) -> Levels:
    """Measure all levels of each graph.

    Raises:
        NotMeasured: ONNX Runtime refuses a graph or what it made of it itself.
    """
    conditions = describe(("onnxruntime", "onnx", "numpy")) | plan.conditions
    graphs = []
    for subject in subjects:
        with tempfile.TemporaryDirectory() as folder:
            graphs.append(_measure(plan, subject, Path(folder), step))
    return Levels(conditions=conditions, graphs=graphs)


def _measure(plan: Plan, subject: Subject, folder: Path, step: Step) -> LeveledGraph:
    step(f"{subject.name}: optimize")
    files = {ORIGINAL: subject.path}
    for name, level in level_names().items():
        files[name] = folder / f"{name}.onnx"
        make_session(subject.path, plan.threads, level, write_to=files[name])

    def opener(name: str) -> Callable[[], ort.InferenceSession]:
        # The original is optimized when it is loaded, as usual; the others have that behind them.
        level = None if name == ORIGINAL else level_names()[REFERENCE]
        return lambda: make_session(files[name], plan.threads, level)

    step(f"{subject.name}: make sessions")
    openers = {name: opener(name) for name in files}
    created = alternate(openers, plan.rounds, 0.0, fewest=_SESSIONS)
    sessions = {name: open_() for name, open_ in openers.items()}

    batches = subject.batches(plan.batches)
    (rows,) = subject.batches([ROWS])
    compared = subject.feeds(rows, plan.seed)
    answers = {name: caller(session, compared)() for name, session in sessions.items()}
    times: dict[str, list[Timing]] = {name: [] for name in files}
    for batch in batches:
        step(f"{subject.name}: {batch} rows")
        feeds = subject.feeds(batch, plan.seed + batch)
        calls = {name: caller(session, feeds) for name, session in sessions.items()}
        for name, taken in alternate(calls, plan.rounds, plan.slice_s).items():
            times[name].append(Timing(batch, Spread.of(taken)))
    found = []
    for name, path in files.items():
        counted = operators(path)
        found.append(
            Level(
                name=name,
                nodes=sum(counted.values()),
                operators=counted,
                size=path.stat().st_size,
                create_ms=Spread.of(us / 1e3 for us in created[name]),
                calls=times[name],
                difference=largest_difference(answers[name], answers[REFERENCE]),
            )
        )
    return LeveledGraph(
        graph=subject.name,
        rows=rows,
        tolerance=subject.manifest.parity.absolute,
        levels=found,
    )
