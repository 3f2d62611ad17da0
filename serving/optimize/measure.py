"""Size, time and parity of a graph's forms."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from gateway.inspection.structure import read_structure
from gateway.models.graph import Graph
from gateway.models.rows import Outputs, Rows
from serving.differences import close
from serving.experiments.errors import ExperimentError, NotMeasured
from serving.experiments.machine import describe
from serving.experiments.plan import Plan, Step
from serving.experiments.sessions import caller, largest_difference, make_session, operators
from serving.experiments.subject import Subject
from serving.experiments.timing import alternate, ratios
from serving.optimize.findings import Form, Optimized, Timing
from serving.optimize.forms import FORMS, ORIGINAL, make_form
from serving.spread import Spread

#: Sessions of each form that are made per round.
_SESSIONS = 3
#: Calls of which the fastest says what a row takes; none is begun after so many seconds.
_TRIES, _TRY_S = 5, 1.0


@dataclass(frozen=True)
class Sample:
    """Rows on which the forms are compared, and where they come from, in words."""

    rows: Rows
    origin: str


def row_seconds(subject: Subject, rows: Rows) -> float:
    """The time the graph takes for these rows at best, ÷ their number.

    At best of a few calls: in a single one the machine may have been busy with something else.

    Raises:
        ExperimentError: it cannot run on them.
    """
    graph = subject.open()
    try:
        graph.run(rows)
        taken = [_seconds(graph, rows)]
        while len(taken) < _TRIES and sum(taken) < _TRY_S:
            taken.append(_seconds(graph, rows))
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        words = str(error).splitlines()[0]
        raise ExperimentError(f"{subject.name}: it cannot run on the rows: {words}") from error
    return min(taken) / rows.count


def _seconds(graph: Graph, rows: Rows) -> float:
    started = time.perf_counter()
    graph.run(rows)
    return time.perf_counter() - started


def measure(
    plan: Plan, subject: Subject, sample: Sample, tolerance: float, folder: Path, step: Step
) -> Optimized:
    """Make all forms below ``folder``, named by form, and hold them against the original.

    Raises:
        ExperimentError: the graph itself cannot run on the rows.
        NotMeasured: ONNX Runtime refuses the graph itself.
    """
    files, reasons = _make(subject.path, folder, step)
    step("compare the answers")
    reference = _answers(subject, subject.path, sample.rows)
    if isinstance(reference, str):
        raise ExperimentError(f"{subject.name}: it cannot run on the rows: {reference}")
    answers = {ORIGINAL: reference}
    for name in list(files):
        found = _answers(subject, files[name], sample.rows)
        if isinstance(found, str):
            reasons[name] = found
            del files[name]
        else:
            answers[name] = found
    loads = _loads(plan, files, step)
    calls = _calls(plan, subject, sample.rows, files, step)
    forms = [
        Form(
            name=name,
            nodes=sum(operators(path).values()),
            size=_size(path),
            load_ms=loads[name],
            calls=calls[name],
            difference=largest_difference([*answers[name].values()], [*reference.values()]),
            within=count_within(answers[name], reference, tolerance),
        )
        for name, path in files.items()
    ]
    forms += [Form(name=name, reason=reason) for name, reason in reasons.items()]
    return Optimized(
        graph=subject.name,
        rows=sample.rows.count,
        rows_from=sample.origin,
        tolerance=tolerance,
        forms=sorted(forms, key=lambda form: (ORIGINAL, *FORMS).index(form.name)),
        conditions=describe(("onnxruntime", "onnx", "numpy")) | plan.conditions,
    )


def count_within(answers: Outputs, reference: Outputs, tolerance: float) -> int:
    """Rows all of whose outputs are within the tolerance; what is no number must be equal."""
    count = min((len(array) for array in reference.values()), default=0)
    good = np.ones(count, dtype=np.bool_)
    for name, base in reference.items():
        if answers[name].shape != base.shape:
            return 0
        good &= close(answers[name], base, tolerance).reshape(count, -1).all(axis=1)
    return int(good.sum())


def _make(path: Path, folder: Path, step: Step) -> tuple[dict[str, Path], dict[str, str]]:
    """The files by form, the original's among them, and why there are no others."""
    files, reasons = {ORIGINAL: path}, {}
    for name in FORMS:
        step(f"make {name}")
        try:
            make_form(name, path, folder / f"{name}.onnx")
            files[name] = folder / f"{name}.onnx"
        except NotMeasured as error:
            reasons[name] = str(error)
    return files, reasons


def _answers(subject: Subject, path: Path, rows: Rows) -> Outputs | str:
    """The outputs for the rows, as the gateway would have them; or why there are none."""
    try:
        return subject.open(path).run(rows)
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        return str(error).splitlines()[0]


def _loads(plan: Plan, files: Mapping[str, Path], step: Step) -> dict[str, Spread]:
    step("load")

    def opener(path: Path) -> Callable[[], ort.InferenceSession]:
        return lambda: make_session(path, plan.threads)

    openers = {name: opener(path) for name, path in files.items()}
    taken = alternate(openers, plan.rounds, 0.0, fewest=_SESSIONS)
    return {name: Spread.of(us / 1e3 for us in times) for name, times in taken.items()}


def _calls(
    plan: Plan, subject: Subject, rows: Rows, files: Mapping[str, Path], step: Step
) -> dict[str, list[Timing]]:
    sessions = {name: make_session(path, plan.threads) for name, path in files.items()}
    times: dict[str, list[Timing]] = {name: [] for name in files}
    for batch in subject.batches(plan.batches):
        step(f"time calls with {batch} rows")
        given = subject.open().feeds(_some(rows, batch))
        taken = alternate(
            {name: caller(session, given) for name, session in sessions.items()},
            plan.rounds,
            plan.slice_s,
        )
        for name, values in taken.items():
            ratio = ratios(values, taken[ORIGINAL])
            times[name].append(Timing(batch, Spread.of(values), ratio))
    return times


def _some(rows: Rows, count: int) -> Rows:
    """So many of the rows, from the first on again where there are fewer."""
    chosen = np.arange(count) % rows.count
    return Rows({name: column[chosen] for name, column in rows.columns.items()}, count)


def _size(path: Path) -> int:
    beside = read_structure(path).external
    return path.stat().st_size + sum(file.bytes or 0 for file in beside)
