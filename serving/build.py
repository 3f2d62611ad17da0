"""The build of a model folder: a progress bar, the move into place, and a table at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from gateway.models.manifest import MANIFEST_NAME
from serving import example, layout
from serving.dataset import Dataset

#: Rows to train on, unless it is told otherwise.
ROWS = 40_000
#: TensorFlow reads these when it is imported. One thread and no oneDNN: sums are added in the
#: same order at every build.
TENSORFLOW = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
}


def build_model(
    name: str,
    out: Path,
    rows: int | None,
    evaluate: Path | None,
    seed: int,
    epochs: int | None = None,
) -> None:
    """Build model `name` into ``out/name`` and print what came of it.

    Everything is made in a temporary folder and moved into place at the end, so that a build that
    fails leaves the old folder as it was.

    Raises:
        typer.BadParameter: there is no such model, `evaluate` cannot be read, or the model has a
            build of its own, which takes none of these.
        ParityError: an exported file answers something else than its original.
        GoalMissed: the network does worse than the model's own build demands.
    """
    if name not in example.names():
        raise typer.BadParameter(f"no model {name!r}; there is: {', '.join(example.names())}")
    started = time.perf_counter()
    chosen = example.find(name)
    if isinstance(chosen, example.Recipe):
        for hint, value in (("--rows", rows), ("--evaluate", evaluate), ("--epochs", epochs)):
            if value is not None:
                raise typer.BadParameter(
                    f"{name} has its own data and its own training", param_hint=hint
                )
        _follow(chosen, name, out, seed, started)
        return
    try:
        original = chosen.read_csv(evaluate) if evaluate is not None else None
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error), param_hint="--evaluate") from error
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        card = run_steps(chosen, Path(folder), rows or ROWS, seed, original, console, epochs)
        install(Path(folder), out / name)
    _print_summary(console, card, time.perf_counter() - started)
    console.print(f"written to {out / name}")


def _follow(recipe: example.Recipe, name: str, out: Path, seed: int, started: float) -> None:
    """Build by the model's own steps; see :func:`build_model`."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        card = run_build(lambda: recipe.build(Path(folder), seed), console)
        install(Path(folder), out / name)
    console.print(f"{name} {card['version']}, built in {time.perf_counter() - started:.0f} s")
    console.print(*recipe.summary(card))
    console.print(f"written to {out / name}")


def run_steps(
    chosen: example.Example,
    folder: Path,
    rows: int,
    seed: int,
    original: Dataset | None,
    console: Console,
    epochs: int | None = None,
) -> dict[str, Any]:
    """Build into the empty `folder` with a progress bar; returns the card."""
    os.environ.update(TENSORFLOW)

    def make() -> example.Steps:
        from serving.steps import Build

        return Build(chosen, folder, rows, seed, original, epochs)

    return run_build(make, console)


def run_build(make: Callable[[], example.Steps], console: Console) -> dict[str, Any]:
    """Run a build's steps with a progress bar; returns the card. `make` loads the frameworks."""
    columns = (TextColumn("{task.description:<30}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("load the frameworks", total=None)
        with quiet_imports():
            build = make()
        progress.update(task, total=sum(share for _, share, _ in build.steps))
        done = 0.0
        for title, share, step in build.steps:
            progress.update(task, description=title, completed=done)
            start = done

            def report(part: float, start: float = start, share: float = share) -> None:
                progress.update(task, completed=start + part * share)

            step(report)
            done += share
        progress.update(task, description="built", completed=done)
    return build.card


@contextmanager
def quiet_imports() -> Iterator[None]:
    """Keep from the terminal what TensorFlow's C++ part says of absent GPUs before it obeys levels.

    It is shown after all where the import fails.
    """
    with tempfile.TemporaryFile() as said, os.fdopen(os.dup(2), "wb") as stderr:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            stderr.write(said.read())
            raise
        finally:
            os.dup2(stderr.fileno(), 2)


def install(built: Path, target: Path, number: str = layout.VERSION) -> None:
    """Move version `number` and the manifest of the folder `built` to the model folder `target`.

    Other versions in `target` stay. A server that watches the folder never sees a version in
    part: it is copied under another name and renamed. Where that fails, the old version is put
    back.
    """
    target.mkdir(parents=True, exist_ok=True)
    version = target / number
    with tempfile.TemporaryDirectory(prefix=".build-", dir=target) as folder:
        new, old = Path(folder) / "new", Path(folder) / "old"
        shutil.copytree(built / number, new)
        manifest = Path(shutil.copy(built / MANIFEST_NAME, folder))
        if version.exists():
            version.rename(old)
        try:
            new.rename(version)
            manifest.replace(target / MANIFEST_NAME)
        except OSError:
            if old.exists():
                shutil.rmtree(version, ignore_errors=True)
                old.rename(version)
            raise


def _print_summary(console: Console, card: dict[str, Any], seconds: float) -> None:
    scores = card["metrics"]
    networks = Table(title=f"{card['name']} {card['version']}, built in {seconds:.0f} s")
    for heading in ("rows", "count", "noise ceiling R²", "network", "R²", "MAE"):
        networks.add_column(heading, justify="left" if heading in ("rows", "network") else "right")
    for rows, count in scores["rows"].items():
        for network in ("pytorch", "tensorflow"):
            score = scores[network][rows]
            ceiling = f"{scores['noise_ceiling_r2'][rows]:.4f}"
            r2, mae = f"{score['r2']:.4f}", f"{score['mae']:.3f}"
            networks.add_row(rows, str(count), ceiling, network, r2, mae)
    parity = card["parity"]
    files = Table(title=f"greatest difference from the original over {parity['rows']} rows")
    files.add_column("file")
    files.add_column(parity["unit"], justify="right")
    for file, difference in parity["greatest_difference"].items():
        files.add_row(file, f"{difference:.2e}")
    console.print(networks, files)
