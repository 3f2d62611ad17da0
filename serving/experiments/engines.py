"""ONNX Runtime against PyTorch and TensorFlow, on the same networks in the same process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from serving.example import Tensor
from serving.experiments.contestants import Answer, Engine
from serving.experiments.errors import ExperimentError, NotMeasured
from serving.experiments.findings import EngineCell, Engines, EngineStart
from serving.experiments.machine import describe
from serving.experiments.nets import Network, make_network
from serving.experiments.plan import Plan, Step
from serving.experiments.timing import alternate, ratios
from serving.export.check import ParityError, greatest_difference
from serving.spread import Spread

#: What an engine's answer may differ from float64, for answers of about 1.
TOLERANCE = 1e-4
PACKAGES = ("onnxruntime", "torch", "tensorflow", "numpy")


def run(
    plan: Plan, sizes: Sequence[int], engines: Sequence[Engine], folder: Path, step: Step
) -> Engines:
    """Measure networks of ``sizes`` inputs; their files are made in the empty ``folder``.

    The first engine is the one the others are compared with.

    Raises:
        ExperimentError: an engine answers something else than the network in float64.
        NotMeasured: the first engine cannot take part.
    """
    step("prepare the engines")
    found = Engines(
        conditions=describe(PACKAGES) | plan.conditions,
        engines=[engine.name for engine in engines],
        tolerance=TOLERANCE,
    )
    absent: dict[str, str] = {}
    for engine in engines:
        started = time.perf_counter()
        try:
            engine.prepare()
        except NotMeasured as error:
            absent[engine.name] = str(error)
        found.prepared_s[engine.name] = time.perf_counter() - started
    present = [engine for engine in engines if engine.name not in absent]
    for inputs in sizes:
        step(f"export the network of {inputs} inputs")
        place = folder / str(inputs)
        place.mkdir()
        net = make_network(inputs, plan.seed, place)
        for engine in present:
            started = time.perf_counter()
            engine.load(net)
            load_s = time.perf_counter() - started
            found.starts.append(EngineStart(inputs=inputs, engine=engine.name, load_s=load_s))
        for batch in plan.batches:
            step(f"{inputs} inputs, {batch} rows")
            found.cells.extend(measure(plan, net, batch, present))
            found.cells.extend(
                EngineCell(inputs=inputs, batch=batch, engine=name, reason=reason)
                for name, reason in absent.items()
            )
    return found


def measure(plan: Plan, net: Network, batch: int, engines: Sequence[Engine]) -> list[EngineCell]:
    """One cell per engine, all of which have loaded ``net``; see :func:`run`."""
    draw = np.random.default_rng(plan.seed + batch)
    features: Tensor = draw.normal(size=(batch, net.inputs)).astype(np.float32)
    cells: dict[str, EngineCell] = {}
    answers: dict[str, Answer] = {}
    for engine in engines:
        cell = EngineCell(inputs=net.inputs, batch=batch, engine=engine.name)
        started = time.perf_counter()
        try:
            answer = engine.call(features)
        except NotMeasured as error:
            if engine is engines[0]:
                raise
            cells[engine.name] = msgspec.structs.replace(cell, reason=str(error))
            continue
        first = answer()
        first_s = time.perf_counter() - started
        try:
            difference = greatest_difference(engine.name, first, net.answer(features), TOLERANCE)
        except ParityError as error:
            where = f"{net.inputs} inputs, {batch} rows"
            raise ExperimentError(f"{where}: {error}; nothing was timed") from error
        cells[engine.name] = msgspec.structs.replace(cell, difference=difference, first_s=first_s)
        answers[engine.name] = answer
    taken = alternate(answers, plan.rounds, plan.slice_s)
    reference = taken[engines[0].name]
    for name, times in taken.items():
        cells[name] = msgspec.structs.replace(
            cells[name], call_us=Spread.of(times), ratio=ratios(times, reference)
        )
    return list(cells.values())
