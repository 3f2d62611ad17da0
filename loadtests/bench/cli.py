"""The command line of the benchmark."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from gateway.models.manifest import Manifest
from loadtests.bench import machine
from loadtests.bench.bench import Bench, Options
from loadtests.bench.cores import require_cores
from loadtests.bench.errors import BenchError
from loadtests.bench.expected import Oracle
from loadtests.bench.opponents.opponent import Place
from loadtests.bench.report import Report
from loadtests.bench.scenarios import SCENARIOS
from loadtests.bench.show import markdown, print_report
from loadtests.bench.wrk import require_wrk
from serving.layout import VERSION

_REPOSITORY = Path(__file__).parents[2] / "serving" / "repository"
_MODEL = "weight-change"
_QUICK = Options(rounds=2, seconds=1, warm_s=1, quick=True)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"Scenario to run; may be repeated: {', '.join(SCENARIOS)}."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Times each contestant is measured.")] = 5,
    seconds: Annotated[int, typer.Option(min=1, help="Length of a measurement.")] = 4,
    quick: Annotated[
        bool, typer.Option(help="Two rounds of a second: to see that it runs.")
    ] = False,
    envs: Annotated[Path, typer.Option(help="Folder of the opponents' environments.")] = Path(
        ".bench/envs"
    ),
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report here.")] = None,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", help="Write the tables here.")
    ] = None,
    server_core: Annotated[int, typer.Option(help="Core of everything that serves.")] = 0,
    client_core: Annotated[int, typer.Option(help="Core of the load generator.")] = 1,
) -> None:
    """Measure the gateway against what people would otherwise use.

    The exit status is 0 whatever is found: this is a benchmark, not a test.
    """
    options = Options(rounds, seconds, server_core=server_core, client_core=client_core)
    if quick:
        options = dataclasses.replace(_QUICK, server_core=server_core, client_core=client_core)
    unknown = set(only or ()) - set(SCENARIOS)
    if unknown:
        raise typer.BadParameter(f"there is no {sorted(unknown)}; {', '.join(SCENARIOS)}")
    console = Console()
    try:
        require_wrk()
        require_cores([server_core, client_core])
        os.sched_setaffinity(0, {client_core})
        with tempfile.TemporaryDirectory(prefix="bench-") as run_dir:
            _forget_settings(Path(run_dir))
            place = Place(Path(run_dir), envs, _REPOSITORY, _REPOSITORY / _MODEL / VERSION)
            report = asyncio.run(_run(only or list(SCENARIOS), options, place, console))
    except BenchError as error:
        raise typer.Exit(_complain(console, error)) from error
    except asyncio.CancelledError as error:
        raise typer.Exit(128 + signal.SIGTERM) from error
    print_report(report, console)
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    if markdown_file is not None:
        markdown_file.write_text(markdown(report), encoding="utf-8")


async def _run(scenarios: list[str], options: Options, place: Place, console: Console) -> Report:
    """The scenarios one after the other; one that cannot be measured does not end the others."""
    task = asyncio.current_task()
    if task is not None:
        # So that servers, which no signal of the terminal reaches, are stopped.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    manifest = Manifest.load(place.repository / _MODEL)
    warning = machine.busy()
    settings = {
        "method": f"{options.rounds} rounds of {options.seconds} s, servers on core "
        f"{options.server_core}, client on core {options.client_core}"
    } | ({"warning": warning} if warning else {})
    report = Report(machine=machine.describe(), settings=settings)
    oracle = Oracle(place, manifest.parity.absolute)
    bench = Bench(options, place, oracle, report, manifest, console)
    for name in scenarios:
        console.print(name, style="bold", highlight=False)
        try:
            report.findings += await SCENARIOS[name](bench)
        except BenchError as error:
            bench.absent(name, "the scenario", error)
    return report


def _forget_settings(folder: Path) -> None:
    """The gateway is measured as it is by default, whatever this shell or folder has set."""
    for name in list(os.environ):
        if name.startswith("GATEWAY_") or name == "PORT":
            del os.environ[name]
    (nothing := folder / "gateway.yaml").touch()
    os.environ["GATEWAY_CONFIG"] = str(nothing)


def _complain(console: Console, error: BenchError) -> int:
    console.print(str(error), style="red", markup=False, highlight=False)
    return 1
