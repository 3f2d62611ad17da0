"""``python -m serving stage``: a build stage by stage, as ``dvc.yaml`` runs it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from serving.stages.work import Work

app = typer.Typer(no_args_is_help=True, help="Run one stage of a build; dvc.yaml has their order.")

Model = Annotated[str, typer.Argument(help="The model, such as weight-change.")]
Folder = Annotated[Path, typer.Option("--work", help="What the stages hand to each other.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of what is drawn.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Of training [default: the model's own].")]

WORK = Path("pipeline")


@app.command("data")
def data(
    model: Model,
    work: Folder = WORK,
    rows: Annotated[int, typer.Option(min=100, help="Generated rows to train on.")] = 40_000,
    seed: Seed = 1,
    evaluate: Annotated[
        Path | None, typer.Option(help="CSV of original rows to judge the networks by.")
    ] = None,
) -> None:
    """Generate the rows, and write the manifest with their ranges."""
    with _opened(model, work) as opened:
        from serving.stages.data import generate

        original = None if evaluate is None else opened.example.read_csv(evaluate)
        generate(opened, rows, seed, original)


@app.command("train-pytorch")
def train_pytorch(model: Model, work: Folder = WORK, epochs: Epochs = None, seed: Seed = 1) -> None:
    """Train the PyTorch network."""
    with _opened(model, work) as opened:
        from serving.stages import training

        training.train_pytorch(opened, epochs or opened.example.epochs, seed, _silent)


@app.command("train-tensorflow")
def train_tensorflow(
    model: Model, work: Folder = WORK, epochs: Epochs = None, seed: Seed = 1
) -> None:
    """Train the TensorFlow network."""
    with _opened(model, work, "tensorflow") as opened:
        from serving.stages import training

        training.train_tensorflow(opened, epochs or opened.example.epochs, seed, _silent)


@app.command("export")
def export(model: Model, work: Folder = WORK) -> None:
    """Export both networks to ONNX, merged with the preprocessing, and one as a SavedModel."""
    with _opened(model, work, "tensorflow") as opened:
        from serving.stages.export import export

        export(opened, _silent)


@app.command("archive")
def archive(model: Model, work: Folder = WORK) -> None:
    """Pack the TorchServe archive."""
    with _opened(model, work) as opened:
        from serving.stages.packing import pack

        pack(opened)


@app.command("check")
def check(model: Model, work: Folder = WORK) -> None:
    """Hold every file against its original, judge the networks, assemble the model folder."""
    with _opened(model, work, "tensorflow") as opened:
        from serving.stages.judging import judge

        judge(opened, _silent)
        typer.echo(f"{opened.model}: served with `gateway serve {opened.repository}`")


@app.command("install")
def install(
    model: Model,
    work: Folder = WORK,
    out: Annotated[Path, typer.Option(help="Repository that gets the folder.")] = Path(
        "serving/repository"
    ),
) -> None:
    """Copy the finished model folder into a model repository; a server there reloads it."""
    with _opened(model, work) as opened:
        from gateway.models.manifest import MANIFEST_NAME
        from serving.build import install

        (opened.model / MANIFEST_NAME).stat()  # before anything is made in `out`
        install(opened.model, out / model)


@contextmanager
def _opened(model: str, work: Path, *frameworks: str) -> Iterator[Work]:
    """The work folder; what goes wrong with its files ends the command with one line.

    `frameworks` are imported first, because they talk while they are.
    """
    from serving import example
    from serving.build import TENSORFLOW, quiet_imports
    from serving.export.errors import ParityError
    from serving.stages.work import Work

    if model not in example.names():
        raise typer.BadParameter(f"no model {model!r}; there is: {', '.join(example.names())}")
    chosen = example.find(model)
    if isinstance(chosen, example.Recipe):
        raise typer.BadParameter(f"{model} has a build of its own, without stages")
    os.environ.update(TENSORFLOW)
    try:
        with quiet_imports():
            for name in frameworks:
                import_module(name)
        yield Work(work, chosen)
    except ModuleNotFoundError as error:
        _end(f"{error.name} is not installed; building needs: pip install '.[train]'", error)
    except FileNotFoundError as error:
        _end(f"{error.filename}: there is no such file; has the stage before run?", error)
    except (OSError, ValueError, ParityError) as error:
        _end(str(error), error)


def _end(words: str, error: Exception) -> None:
    typer.echo(f"error: {words}", err=True)
    raise typer.Exit(1) from error


def _silent(part: float) -> None:
    """Nothing watches how far a stage is."""
