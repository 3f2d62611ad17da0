"""Options that several commands have: one name and one help for each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="Settings file [default: gateway.yaml].")
]
RepositoryPath = Annotated[
    str | None, typer.Option("--repository", help="Folder of models, a model, or a .onnx file.")
]
#: Of commands whose argument MODEL is a path, or a name in this repository.
NamedIn = Annotated[
    str | None, typer.Option("--repository", help="Folder of models, where MODEL is a name.")
]
Url = Annotated[str | None, typer.Option(help="A running gateway, like http://127.0.0.1:8000.")]
