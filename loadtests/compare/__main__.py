"""``python -m loadtests.compare``: headless runs of Locust, added to a comparison's report."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from loadtests.compare.errors import CompareError
from loadtests.compare.locust_runs import Load, Outcome, ask_offer, outcomes
from loadtests.compare.results import Figure, LocustRun, Results

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

_HEAD = ("users of", "users", "requests", "failed", "requests/s", "p50 ms", "p95 ms", "p99 ms")


class Files(NamedTuple):
    """Where the runs go to, beside the terminal."""

    json: Path | None
    html: Path | None
    markdown: Path | None


@app.command()
def main(
    host: Annotated[str, typer.Option(help="A running gateway, like http://127.0.0.1:8000.")],
    model: Annotated[
        str | None, typer.Option(help="Model; may be left out where there is one.")
    ] = None,
    backends: Annotated[
        list[str] | None,
        typer.Option(
            help="Backend, like onnx or onnx/pytorch; may be repeated or hold commas "
            "[default: all that are ready]."
        ),
    ] = None,
    users: Annotated[int, typer.Option(min=1, help="Users at a time, at most.")] = 16,
    seconds: Annotated[int, typer.Option(min=1, help="Length of a run.")] = 10,
    shape: Annotated[
        Literal["steady", "ramp", "spike", "soak"],
        typer.Option(help="How the number of users changes."),
    ] = "steady",
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="A report of `gateway compare --json`; the runs are added."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write the report anew as HTML; needs --json.")
    ] = None,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", help="Write it as Markdown; needs --json.")
    ] = None,
) -> None:
    """Run Locust's users of each backend in turn against a running gateway.

    The exit status is 1 where a request failed or nothing could be run, each said in a line.
    """
    console = Console()
    files, load = Files(json_file, report, markdown_file), Load(users, seconds, shape)
    try:
        found = asyncio.run(_measure(host, model, _names(backends), load, files, console))
    except CompareError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        raise typer.Exit(1) from error
    if any(outcome.errors or not outcome.run.requests for outcome in found):
        raise typer.Exit(1)


async def _measure(
    host: str,
    model: str | None,
    backends: Sequence[str],
    load: Load,
    files: Files,
    console: Console,
) -> list[Outcome]:
    """Run, show, and write what was asked for; what cannot be written is said before the run."""
    earlier = _read(files)
    offer = await ask_offer(host, model)
    if earlier is not None and earlier.model != offer.manifest.name:
        raise CompareError(f"{files.json} is about {earlier.model}, not {offer.manifest.name}")
    if not backends:
        backends = offer.ready
        for backend, why in offer.down.items():
            _say(console, f"{backend} is not asked: {why.removeprefix(backend + ': ')}")
        if not backends:
            raise CompareError(f"no backend of {offer.manifest.name} is ready")

    def progress(line: str) -> None:
        _say(console, line)

    async with aclosing(outcomes(host, offer, backends, load, progress)) as running:
        found = [outcome async for outcome in running]
    runs = [outcome.run for outcome in found]
    console.print(_table(runs))
    if earlier is not None:
        _write(msgspec.structs.replace(earlier, locust=runs), files)
    return found


def _read(files: Files) -> Results | None:
    if files.json is None:
        if wanted := files.html or files.markdown:
            raise CompareError(f"{wanted} needs the rest of the report: name it with --json")
        return None
    if not files.json.is_file():
        raise CompareError(
            f"there is no {files.json}; make it first: gateway compare --json {files.json}"
        )
    # matplotlib and the templates are not needed where only the table is shown.
    from loadtests.compare.report import read_json

    return read_json(files.json)


def _write(results: Results, files: Files) -> None:
    from loadtests.compare.report import markdown, write_html, write_json

    if files.json is not None:
        write_json(results, files.json)
    if files.html is not None:
        write_html(results, files.html)
    if files.markdown is not None:
        files.markdown.write_text(markdown(results), encoding="utf-8")


def _table(runs: Sequence[LocustRun]) -> Table:
    table = Table(*_HEAD, title="Locust", title_justify="left")
    for run in runs:
        name = f"{run.backend} (stand-in)" if run.stand_in else run.backend
        figures = (run.requests_per_s, run.p50, run.p95, run.p99)
        counts = (run.users, run.requests, run.failures)
        table.add_row(
            name,
            *(f"{count:,}" for count in counts),
            *map(_number, figures),
            style="red" if run.failures else "",
        )
    return table


def _number(figure: Figure) -> str:
    return "—" if figure.value is None else f"{figure.value:,.1f}"


def _names(given: Sequence[str] | None) -> list[str]:
    names = [name.strip() for part in given or () for name in part.split(",")]
    return list(dict.fromkeys(filter(None, names)))


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False)


if __name__ == "__main__":
    app(prog_name="python -m loadtests.compare")
