"""``python -m serving experiment``: the classroom experiments."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from gateway.errors import GatewayError
from serving.experiments.errors import ExperimentError, NotMeasured
from serving.experiments.plan import Plan, Step

if TYPE_CHECKING:
    from rich.table import Table

# Frameworks and matplotlib are imported when an experiment runs: `--help` needs none of them.

REPOSITORY = Path(__file__).parent.with_name("repository")
#: Rounds and seconds per slice of a quick run: enough to see that it works, not to conclude.
_QUICK = (3, 0.01)
_NEEDS = "the experiments need: pip install '.[train,compare]'"

app = typer.Typer(no_args_is_help=True, help=__doc__)


class PlotFormat(StrEnum):
    """What a plot is written as."""

    svg = "svg"
    png = "png"


Rows = Annotated[
    str | None, typer.Option(help="Rows a call: numbers, separated by commas.", show_default=False)
]
Threads = Annotated[int, typer.Option(min=1, help="Threads of each engine.")]
Rounds = Annotated[int, typer.Option(min=1, help="Alternated rounds.")]
Slice = Annotated[float, typer.Option(min=0.001, help="Seconds of each contestant in a round.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of weights and rows.")]
Quick = Annotated[bool, typer.Option("--quick", help="A short run, to see that it works.")]
Out = Annotated[Path, typer.Option(help="Folder for the table (.md), figures (.json) and plot.")]
Plot = Annotated[PlotFormat, typer.Option(help="What the plot is written as.")]
Models = Annotated[Path, typer.Option(help="Folder of models, or one model.")]
Model = Annotated[str | None, typer.Option(help="The model, where there are several.")]
GraphFile = Annotated[Path | None, typer.Option(help="Any .onnx file instead of a model's.")]

_OUT = Path("experiments")


@app.command()
def engines(
    inputs: Annotated[
        str | None,
        typer.Option(help="Sizes of the networks: numbers of inputs. [default: 17,128,1024]"),
    ] = None,
    rows: Rows = None,
    threads: Threads = 1,
    rounds: Rounds = 15,
    slice_s: Slice = 0.1,
    seed: Seed = 1,
    quick: Quick = False,
    out: Out = _OUT,
    plot: Plot = PlotFormat.svg,
) -> None:
    """ONNX Runtime, PyTorch (eager, compiled) and TensorFlow on networks of several sizes."""
    sizes = _numbers(inputs, "--inputs", "17" if quick else "17,128,1024")
    batches = _numbers(rows, "--rows", "1,8" if quick else "1,8,64,512")
    plan = _plan(batches, threads, rounds, slice_s, seed, quick)
    with _told(), tempfile.TemporaryDirectory() as folder:
        # TensorFlow says less; PyTorch compiles afresh, so that the time it takes is that of a
        # fresh machine.
        os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")
        cache, files = Path(folder) / "compiled", Path(folder) / "files"
        files.mkdir()
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache)
        with _progress() as step:
            step("load the frameworks")
            from serving.build import quiet_imports

            with quiet_imports():
                from serving.experiments.contestants import make_engines
            from serving.experiments import engines as experiment
            from serving.experiments import plots, tables

            found = experiment.run(plan, sizes, make_engines(threads), files, step)
        shown = tables.engine_tables(found), tables.engine_remarks(found)
        _deliver("engines", found, *shown, plots.plot_engines, out, plot)


@app.command()
def levels(
    repository: Models = REPOSITORY,
    model: Model = None,
    graph: GraphFile = None,
    rows: Rows = None,
    threads: Threads = 1,
    rounds: Rounds = 15,
    slice_s: Slice = 0.1,
    seed: Seed = 1,
    quick: Quick = False,
    out: Out = _OUT,
    plot: Plot = PlotFormat.svg,
) -> None:
    """A graph as exported against each optimization level: nodes, time, parity."""
    plan = _plan(_numbers(rows, "--rows", "1,64"), threads, rounds, slice_s, seed, quick)
    with _told():
        from serving.experiments import levels as experiment
        from serving.experiments import plots, tables
        from serving.experiments.subject import find_subjects

        with _progress() as step:
            found = experiment.run(plan, find_subjects(repository, model, graph), step)
        shown = tables.level_tables(found), tables.level_remarks(found)
        _deliver("levels", found, *shown, plots.plot_levels, out, plot)


@app.command()
def providers(
    repository: Models = REPOSITORY,
    model: Model = None,
    graph: GraphFile = None,
    rows: Rows = None,
    threads: Threads = 1,
    rounds: Rounds = 15,
    slice_s: Slice = 0.1,
    seed: Seed = 1,
    quick: Quick = False,
    out: Out = _OUT,
    plot: Plot = PlotFormat.svg,
) -> None:
    """The execution providers of this ONNX Runtime, which of them computes, and how fast."""
    plan = _plan(_numbers(rows, "--rows", "1,64"), threads, rounds, slice_s, seed, quick)
    with _told():
        from serving.experiments import plots, tables
        from serving.experiments import providers as experiment
        from serving.experiments.subject import find_subjects

        with _progress() as step:
            found = experiment.run(plan, find_subjects(repository, model, graph)[0], step)
        shown = tables.provider_tables(found), tables.provider_remarks(found)
        _deliver("providers", found, *shown, plots.plot_providers, out, plot)


def _plan(
    batches: list[int], threads: int, rounds: int, slice_s: float, seed: int, quick: bool
) -> Plan:
    if quick:
        rounds, slice_s = _QUICK
    return Plan(batches=batches, threads=threads, rounds=rounds, slice_s=slice_s, seed=seed)


def _numbers(given: str | None, option: str, default: str) -> list[int]:
    """Different numbers from 1 on, the smallest first; raises typer.BadParameter."""
    text = default if given is None else given
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        numbers = [0]
    if numbers[0] < 1:
        raise typer.BadParameter(f"{text!r} is not numbers like 1,8,64", param_hint=option)
    return numbers


def _deliver(
    name: str,
    found: msgspec.Struct,
    tables: list[Table],
    remarks: Iterable[str],
    draw: Callable[[Any, Path], None],
    out: Path,
    plot: PlotFormat,
) -> None:
    """Write the tables, the figures and the plot below ``out``, and print the tables."""
    from serving.experiments.tables import markdown, show

    remarks = list(remarks)
    out.mkdir(parents=True, exist_ok=True)
    figures = msgspec.json.format(msgspec.json.encode(found), indent=2)
    (out / f"{name}.json").write_bytes(figures + b"\n")
    (out / f"{name}.md").write_text(markdown(tables, remarks), encoding="utf-8")
    draw(found, out / f"{name}.{plot.value}")
    show(tables, remarks, Console())
    typer.echo(f"written to {out}: {name}.md, {name}.json, {name}.{plot.value}")


@contextmanager
def _progress() -> Iterator[Step]:
    """A line that says what is being done and for how long; on standard error."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def step(words: str) -> None:
            progress.update(task, description=words)

        yield step


@contextmanager
def _told() -> Iterator[None]:
    """Tell what stops an experiment in one line, and leave with 1."""
    try:
        yield
    except ModuleNotFoundError as error:
        _stop(f"{error.name} is not installed; {_NEEDS}", error)
    except GatewayError as error:
        _stop(f"error: {error.detail}", error)
    except (ExperimentError, NotMeasured, OSError) as error:
        _stop(f"error: {error}", error)


def _stop(words: str, error: Exception) -> None:
    typer.echo(words, err=True)
    raise typer.Exit(1) from error
