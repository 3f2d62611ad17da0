"""``python -m serving import``: the options, and what is said afterwards."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from serving.importing.importer import Imported

SOURCE = (
    "A .joblib, .pkl or .skops file, a .keras or .h5 file, a SavedModel folder, an .onnx file, or"
    " module:object."
)


def import_(
    source: Annotated[str | None, typer.Argument(help=SOURCE)] = None,
    out: Annotated[Path, typer.Option(help="Model repository that gets the folder.")] = Path(
        "models"
    ),
    sample: Annotated[
        Path | None,
        typer.Option(help="Rows of training data, .csv or .npz: names, types, ranges, parity."),
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="Column of the sample that is no feature; repeatable.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The model's name; else the file's.")] = None,
    version: Annotated[str, typer.Option(help="The version's number.")] = "1",
    description: Annotated[str, typer.Option(help="The model in a sentence.")] = "",
    module: Annotated[
        str | None,
        typer.Option(
            help="PyTorch: package.module:Network or file.py:Network, a class, function"
            " or network. Keras: the module with its custom layers. It is executed."
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="PyTorch: state_dict, by torch.save or .safetensors.")
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Lightning: the checkpoint.")] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help="PyTorch: name:dtype:shape of a row, such as"
            " image:float32:3x28x28; repeatable, in order.",
        ),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            help="Input that takes pictures: name:mode:layout[:scale], such as image:RGB:CHW:255,"
            " which divides pixels by 255; repeatable."
        ),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(help="Pictures: less that after the scale, per channel: 0.485,0.456,0.406."),
    ] = None,
    std: Annotated[
        str | None, typer.Option(help="Pictures: divided by that at last, per channel.")
    ] = None,
    output: Annotated[
        list[str] | None, typer.Option(help="Name of an output; repeatable, in order.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Label of the first output; repeatable, in order.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="One value, two labels: where the second begins.")
    ] = None,
    signature: Annotated[
        str | None, typer.Option(help="SavedModel: the signature to serve, else serving_default.")
    ] = None,
    preprocess: Annotated[
        Path | None, typer.Option(help="ONNX graph to merge before the model.")
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(min=0, help="Allowed difference; else 0.0001, or a millionth of the answers."),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Load a file that is executed by that: pickle, joblib, a"
            " checkpoint with objects, Keras Lambda layers.",
        ),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a version that is there.")
    ] = False,
) -> None:
    """Make a model folder from a trained model: export, compare with the original, describe.

    A pickle runs code when it is loaded, and so does --module; a SavedModel runs its graphs, which
    can read and write files: import only what you trust. Nothing is written where the export
    answers something else than the original.
    """
    from gateway.errors import GatewayError
    from serving.build import TENSORFLOW, quiet_imports
    from serving.importing.errors import ImportRefused
    from serving.importing.request import Request
    from serving.importing.spec import parse_spec

    os.environ.update(TENSORFLOW)
    try:
        with quiet_imports():
            from serving.importing.importer import import_model
            from serving.importing.picture import parse_images

        request = Request(
            source, out, name, version, description, sample, tuple(target or ()), module, weights,
            checkpoint, tuple(map(parse_spec, input_ or ())),
            parse_images(image or [], mean, std), tuple(output or ()), tuple(label or ()),
            threshold, signature, preprocess, tolerance, trust, replace,
        )  # fmt: skip
        imported = import_model(request)
    except (ImportRefused, OSError) as error:
        _end(str(error), error)
    except GatewayError as error:
        _end(error.detail, error)
    except CalledProcessError as error:
        _end(f"the TorchServe archive could not be packed: status {error.returncode}", error)
    except ModuleNotFoundError as error:
        _end(_missing(error), error)
    _print(imported, out)


def _end(words: str, error: Exception) -> NoReturn:
    typer.echo(f"error: {words}", err=True)
    raise typer.Exit(1) from error


def _missing(error: ModuleNotFoundError) -> str:
    """What to do about a module that is not there."""
    extra = {
        "joblib", "keras", "onnx", "onnxscript", "pandas", "safetensors", "skl2onnx", "sklearn",
        "skops", "tensorflow", "tf2onnx", "torch",
    }  # fmt: skip
    if error.name is not None and error.name.partition(".")[0] in extra:
        return f"{error.name} is not installed; the import needs: pip install '.[train]'"
    return (
        f"the model's code imports {error.name}, which is not here; run the import where that"
        " module lies, or install it"
    )


def _print(imported: Imported, out: Path) -> None:
    manifest, parity = imported.manifest, imported.parity
    console = Console()
    features = Table()
    for heading in ("feature", "type", "allowed"):
        features.add_column(heading)
    for feature in manifest.features:
        features.add_row(feature.name, feature.type, feature.allowed)
    files = Table()
    files.add_column("file")
    files.add_column("difference", justify="right")
    for file, apart in imported.files.items():
        files.add_row(file, f"{apart:.2e}")
    said = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    said(f"{manifest.name}: {manifest.description}")
    console.print(features)
    said(
        f"greatest difference from the original over {parity.rows} rows, of"
        f" {parity.tolerance:g} allowed:"
    )
    console.print(files)
    for note in imported.notes:
        said(note)
    said(f"written to {imported.folder}; serve it: gateway serve {out}")
