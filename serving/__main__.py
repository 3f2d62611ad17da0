"""``python -m serving``: build or import a model folder, run the stand-in or an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serving.experiments.cli import app as experiments
from serving.importing.cli import import_
from serving.stages.cli import app as stages

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
app.add_typer(experiments, name="experiment")
app.add_typer(stages, name="stage")
app.command("import")(import_)


@app.command()
def build(
    model: Annotated[str, typer.Argument(help="The model to build, such as weight-change.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Model repository that gets the model's folder; else the one here."),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(min=100, help="Generated rows to train weight-change on [default: 40000]."),
    ] = None,
    evaluate: Annotated[
        Path | None, typer.Option(help="CSV of original rows to judge weight-change by.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of data and training.")] = 1,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Of both of its trainings [default: its own].")
    ] = None,
) -> None:
    """Make a model's folder anew: data, training, export, checks, archive."""
    from serving.build import build_model
    from serving.example import GoalMissed, repository
    from serving.export.errors import ParityError

    try:
        build_model(model, out or repository(model), rows, evaluate, seed, epochs)
    except ModuleNotFoundError as error:
        typer.echo(
            f"{error.name} is not installed; building needs: pip install '.[train]'", err=True
        )
        raise typer.Exit(1) from error
    except (GoalMissed, ParityError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


@app.command(
    "tfserving-standin",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def tfserving_standin(context: typer.Context) -> None:
    """Serve SavedModels as TensorFlow Serving would; a stand-in, not the real server."""
    from serving.standin.cli import main

    main(context.args)


if __name__ == "__main__":
    app()
