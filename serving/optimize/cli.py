"""``gateway optimize``: what a model's graph gains and loses by being optimized beforehand."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console

from gateway.config import load
from gateway.errors import ConfigError, ModelError
from gateway.inspection.files import GraphFile, find_files
from gateway.inspection.report import NEEDS_ONNX
from gateway.models.repository import Repository
from gateway.models.rows import join
from gateway.options import Config, NamedIn

# The gateway's command line imports this module for every command; what needs the package onnx is
# imported when `optimize` runs.
if TYPE_CHECKING:
    from serving.experiments.plan import Plan
    from serving.experiments.subject import Subject
    from serving.optimize.findings import Optimized
    from serving.optimize.measure import Sample

#: Drawn rows over which the forms' answers are compared, beside the manifest's example: at most,
#: and at least, where they would take longer than so many seconds.
_DRAWN, _FEWEST, _COMPARE_S = 512, 16, 5.0
#: Rows a timed call, and how many seconds one may take unless --rows asks for it.
_BATCHES, _CALL_S = "1,64", 0.5


class FormName(StrEnum):
    """What can be written."""

    basic = "basic"
    extended = "extended"
    all = "all"
    int8 = "int8"


def optimize(
    model: Annotated[str, typer.Argument(help="A .onnx file, a model's folder, or its name.")],
    version: Annotated[str | None, typer.Option(help="Version; the newest if left out.")] = None,
    lineage: Annotated[str | None, typer.Option(help="Only what serves this lineage.")] = None,
    form: Annotated[FormName | None, typer.Option(help="The form --out is to get.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write --form to this new file; otherwise none is written.")
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(min=0, help="How far answers may differ [default: the manifest's parity]."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write a form that differs by more than that.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="Compare on these payloads, a JSON body of /v1/predict."),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(help="Rows a timed call [default: 1,64, of slow models 1]."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each session.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Alternated rounds.")] = 7,
    slice_s: Annotated[
        float, typer.Option("--slice", min=0.001, help="Seconds of a slice.")
    ] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the drawn rows.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    repository: NamedIn = None,
    config: Config = None,
) -> None:
    """Compare a graph with its optimized and int8 forms: size, time, parity; write one if asked."""
    with _told():
        from serving.experiments.plan import Plan

        batches = _numbers(rows or _BATCHES)
        files = find_files(model, load({"repository": repository}, config), version, lineage)
        served = [file for file in files if file.lineage] or files
        if (form is None) != (out is None):
            raise ConfigError("--form says what --out gets: give both, or neither")
        if out is not None and len(served) > 1:
            names = ", ".join(str(file.lineage) for file in served)
            raise ConfigError(f"--out is for one file; say which with --lineage: {names}")
        if out is not None and out.exists():
            raise ConfigError(f"{out}: there is such a file already; nothing is overwritten")
        if out is not None and not out.parent.is_dir():
            raise ConfigError(f"{out}: there is no folder {out.parent}")
        plan = Plan(batches=batches, threads=threads, rounds=rounds, slice_s=slice_s, seed=seed)
        console = Console()
        findings = []
        for file in served:
            with tempfile.TemporaryDirectory() as folder:
                found = _measure(plan, file, data, tolerance, Path(folder), rows is not None)
                findings.append(found)
                if not as_json:
                    _show(found, console)
                if form is not None and out is not None:
                    _write(found, form, Path(folder), out, force)
        if as_json:
            # Not json.dumps, which spells infinity in a way that is no JSON.
            typer.echo(msgspec.json.format(msgspec.json.encode(findings), indent=2).decode())
        else:
            _show_remarks(findings, console)


def _measure(
    plan: Plan,
    file: GraphFile,
    data: Path | None,
    tolerance: float | None,
    folder: Path,
    all_batches: bool,
) -> Optimized:
    from rich.progress import Progress, SpinnerColumn, TextColumn

    from serving.optimize.measure import measure

    subject, sample, row_s = _subject(file, data, plan.seed)
    if not all_batches:
        quick = [batch for batch in plan.batches if batch * row_s <= _CALL_S]
        plan = replace(plan, batches=quick or plan.batches[:1])
    allowed = subject.manifest.parity.absolute if tolerance is None else tolerance
    columns = SpinnerColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def step(words: str) -> None:
            progress.update(task, description=f"{file.name}: {words}")

        return measure(plan, subject, sample, allowed, folder, step)


def _subject(file: GraphFile, data: Path | None, seed: int) -> tuple[Subject, Sample, float]:
    """The graph with the manifest that describes it, the rows to compare on, and seconds a row."""
    from serving.experiments.draws import draw_rows
    from serving.experiments.subject import Subject
    from serving.optimize.measure import Sample, row_seconds

    if file.model is not None and file.lineage is not None:
        version = file.model
        subject = Subject.of(file.name, file.path, version, file.lineage)
    else:
        version = Repository.scan(file.path).get()
        subject = Subject.of(file.name, file.path, version)
    if data is not None:
        given = version.validator.decode(data.read_bytes())
        return subject, Sample(given, f"from {data.name}"), row_seconds(subject, given)
    example = version.validator.convert([version.manifest.example])
    row_s = row_seconds(subject, example)
    drawn = draw_rows(version.manifest, max(_FEWEST, min(_DRAWN, int(_COMPARE_S / row_s))), seed)
    return subject, Sample(join([example, drawn]), "the manifest's example and drawn ones"), row_s


def _show(found: Optimized, console: Console) -> None:
    from serving.optimize.table import show

    show(found, console)


def _show_remarks(findings: list[Optimized], console: Console) -> None:
    from serving.optimize.table import show_remarks

    show_remarks(findings, console)


def _write(found: Optimized, form: FormName, folder: Path, out: Path, force: bool) -> None:
    """Copy the form to ``out``; raises :class:`ModelError` where it is refused."""
    chosen = next(one for one in found.forms if one.name == form.value)
    if chosen.reason:
        raise ModelError(f"{form.value}: {chosen.reason}")
    if found.exceeds(chosen) and not force:
        raise ModelError(
            f"{form.value}: it differs from the original by up to {chosen.difference:.2g}, "
            f"{found.tolerance:g} is allowed; {chosen.within} of {found.rows} rows are within. "
            "Nothing is written; --force writes it all the same"
        )
    with (folder / f"{form.value}.onnx").open("rb") as source, out.open("xb") as target:
        shutil.copyfileobj(source, target)
    typer.echo(f"written: {out}", err=True)


def _numbers(text: str) -> list[int]:
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        numbers = [0]
    if numbers[0] < 1:
        raise typer.BadParameter(f"{text!r} is not numbers like 1,8,64", param_hint="--rows")
    return numbers


@contextmanager
def _told() -> Iterator[None]:
    """Turn what stops the command into an error of one line."""
    try:
        from serving.experiments.errors import ExperimentError, NotMeasured

        try:
            yield
        except (ExperimentError, NotMeasured) as error:
            raise ModelError(str(error)) from error
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise ConfigError(f"gateway optimize {NEEDS_ONNX}") from error
