"""``gateway key``: makes API keys."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import yaml

from gateway.errors import ConfigError

app = typer.Typer(name="key", no_args_is_help=True, rich_markup_mode=None)

_KEY_BYTES = 32


@app.callback()
def key() -> None:
    """Make API keys; see the setting api_keys_file."""


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Who the key is for; shown in logs.")],
    rate: Annotated[
        float | None, typer.Option(help="Requests per second [default: no limit].")
    ] = None,
    burst: Annotated[
        float | None, typer.Option(help="Requests at once [default: one second's].")
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="The key may manage the gateway.")] = False,
    file: Annotated[
        Path | None, typer.Option(help="Append the entry to this file of keys.")
    ] = None,
) -> None:
    """Make a key. It is printed this once; only its hash is kept."""
    from gateway.api.keys import Key, hash_of

    made = secrets.token_urlsafe(_KEY_BYTES)
    given = {"rate": rate, "burst": burst, "admin": admin or None}
    options = {option: value for option, value in given.items() if value is not None}
    entry = {"name": name, "hash": hash_of(made), **options}
    try:
        msgspec.convert(entry, Key)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error)) from None
    line = yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=10_000).strip()
    if file is not None:
        append(file, entry, line)
    typer.echo(made)
    # With --file, the output is the key and nothing else, for scripts to take.
    typer.echo(f"- {line}", err=file is not None)


def append(file: Path, entry: dict[str, Any], line: str) -> None:
    """Add an entry to a file of keys, or make the file; all of it is written or nothing.

    What stands in the file stays as it is, comments included. Raises :class:`ConfigError` where
    the file cannot be used or has the name already.
    """
    from gateway.api.keys import Key, parse, read

    file = file.resolve()  # the file a link points to is replaced, not the link
    added = msgspec.convert(entry, Key)
    if not file.exists():
        _replace(file, f"keys:\n  - {line}\n", mode=0o600)
        return
    old = read(file)
    if any(known.name == added.name for known in old):
        raise ConfigError(f"{file}: it has a key {added.name!r} already")
    text = file.read_text(encoding="utf-8")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert root is not None, "it was read above"
    indent = " " * root.value[0][1].start_mark.column
    extended = f"{text.rstrip()}\n{indent}- {line}\n"
    try:
        extends = parse(extended) == [*old, added]
    except ValueError:
        extends = False
    if not extends:
        raise ConfigError(f"{file}: an entry can only be appended where each is a line `- {{…}}`")
    _replace(file, extended, mode=file.stat().st_mode)


def _replace(file: Path, text: str, mode: int) -> None:
    """Write the file so that a reader sees the old or the new one, never a part."""
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        os.chmod(temporary, mode)
        os.replace(temporary, file)
    except BaseException:
        os.unlink(temporary)
        raise
