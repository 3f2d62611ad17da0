"""``gateway compare``: the backends of a gateway side by side, and what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

# The gateway's command line imports this module for every command; all it needs is imported when
# `compare` runs.
if TYPE_CHECKING:
    from rich.console import Console

    from loadtests.compare.options import Options
    from loadtests.compare.results import Results

_NEEDS = "gateway compare needs more than the gateway: pip install '.[compare]'"


def compare(
    url: Annotated[
        str, typer.Option(help="A running gateway with its backends.")
    ] = "http://127.0.0.1:8000",
    up: Annotated[
        bool, typer.Option("--up", help="Start gateway and backends for it, and stop them after.")
    ] = False,
    model: Annotated[
        str | None, typer.Option(help="Model; may be left out where there is one.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="Version; the newest if left out.")] = None,
    backends: Annotated[
        str | None,
        typer.Option(help="Like onnx,torchserve/pytorch; one named twice is held against itself."),
    ] = None,
    candidate: Annotated[
        str | None,
        typer.Option(help="The backend to move to [default: the one inside the gateway]."),
    ] = None,
    rows: Annotated[
        str, typer.Option(help="Payloads for parity: how many to generate, or a file of them.")
    ] = "1000",
    duration: Annotated[
        float, typer.Option(min=0.1, help="Seconds of each single measurement.")
    ] = 1.0,
    rounds: Annotated[
        int, typer.Option(min=1, help="How often each is made; fewer than 5 decide little.")
    ] = 5,
    clients: Annotated[str, typer.Option(help="Closed loop: numbers of clients.")] = "1,8,64",
    batches: Annotated[str, typer.Option(help="Rows in one body, asked by one client.")] = "128",
    rates: Annotated[
        str | None,
        typer.Option(help="Open loop: requests per second [default: by what the slowest can do]."),
    ] = None,
    direct: Annotated[
        bool, typer.Option(help="Ask the servers themselves, too, as their clients do today.")
    ] = True,
    cold_starts: Annotated[
        int, typer.Option(min=0, help="How often each server is started to be timed.")
    ] = 2,
    image: Annotated[
        list[str] | None,
        typer.Option(help="A server's container image, like torchserve=ts:1; may be repeated."),
    ] = None,
    build: Annotated[
        list[str] | None,
        typer.Option(help="An image's Dockerfile, to be built here and timed: torchserve=FILE."),
    ] = None,
    price: Annotated[
        float | None, typer.Option(min=0, help="Price of one core for an hour.")
    ] = None,
    locust: Annotated[int, typer.Option(min=0, help="Seconds of a run of Locust per backend.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of payloads and arrivals.")] = 1,
    repository: Annotated[
        Path,
        typer.Option(envvar="GATEWAY_REPOSITORY", help="The repository the gateway serves."),
    ] = Path("serving/repository"),
    report: Annotated[Path | None, typer.Option(help="Write the report as HTML.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all of it as JSON.")
    ] = None,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", help="Write the report as Markdown.")
    ] = None,
) -> None:
    """Compare the backends: do they answer the same, how fast, at what cost; shall we move?"""
    import asyncio

    from rich.console import Console

    try:
        from loadtests.compare.errors import CompareError
        from loadtests.compare.options import Options
        from loadtests.compare.report import print_terminal, write_html, write_json, write_markdown
    except ModuleNotFoundError as error:
        typer.echo(f"error: {error.name} is not installed; {_NEEDS}", err=True)
        raise typer.Exit(1) from error
    writers = (
        (write_html, report), (write_json, json_file), (write_markdown, markdown_file),
    )  # fmt: skip
    console = Console()
    try:
        options = Options(
            model=model,
            version=version,
            backends=tuple(_words(backends)),
            candidate=candidate,
            rows=int(rows) if rows.isdigit() else Path(rows),
            rounds=rounds,
            seconds=duration,
            clients=tuple(_counts("--clients", clients)),
            batches=tuple(_counts("--batches", batches)),
            rates=None if rates is None else tuple(_numbers("--rates", rates)),
            direct=direct,
            cold_starts=cold_starts,
            images=_named("--image", image),
            builds={name: Path(file) for name, file in _named("--build", build).items()},
            price=price,
            locust_s=locust,
            seed=seed,
        )
        options.check()
        for _, path in writers:
            if path is not None and not path.resolve().parent.is_dir():
                raise CompareError(f"{path.parent}: there is no such folder")
            if path is not None and path.is_dir():
                raise CompareError(f"{path}: is a folder")
        results = asyncio.run(_compare(url, up, repository, options, console))
        print_terminal(results, console)
        for write, path in writers:
            if path is not None:
                write(results, path)
                console.print(f"written: {path}", markup=False, highlight=False, soft_wrap=True)
    except CompareError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


async def _compare(
    url: str, up: bool, repository: Path, options: Options, console: Console
) -> Results:
    from contextlib import AsyncExitStack

    import msgspec

    from loadtests.compare import machine
    from loadtests.compare.comparison import Comparison
    from loadtests.compare.errors import CompareError
    from loadtests.compare.options import PACKAGES
    from loadtests.compare.progress import Bars
    from loadtests.compare.stage import find_model, started, two_cores
    from loadtests.compare.subjects import ask_offer

    described = machine.describe(PACKAGES)
    async with AsyncExitStack() as stack:
        bars = stack.enter_context(Bars(console))
        try:
            found = find_model(repository, options.model, options.version)
        except CompareError:
            if up:
                raise
            found = None
        core = None
        if up:
            assert found is not None
            wanted = {name.partition("/")[0] for name in options.backends}
            bars.phase("starting the servers", 1)
            cores = two_cores()
            servers_core, core = cores or (None, None)
            needed = wanted or set(found.manifest.backends)
            url = await stack.enter_async_context(started(repository, needed, servers_core))
            described = msgspec.structs.replace(described, pinned=cores is not None)
        offer = await ask_offer(url, options.model, options.version, options.backends)
        if found is not None and found.manifest.features != offer.manifest.features:
            raise CompareError(
                f"{repository} holds another {offer.manifest.name} than {url} serves (--repository)"
            )
        return await Comparison(offer, options, found, described, bars, core).run()


def _words(given: str | None) -> list[str]:
    return [word.strip() for word in (given or "").split(",") if word.strip()]


def _counts(option: str, given: str) -> list[int]:
    """Positive whole numbers; raises ``typer.BadParameter`` otherwise."""
    numbers = _numbers(option, given)
    if not all(number.is_integer() for number in numbers):
        raise typer.BadParameter(f"{given!r} is not like 1,8,64", param_hint=option)
    return [int(number) for number in numbers]


def _numbers(option: str, given: str) -> list[float]:
    """Positive numbers; raises ``typer.BadParameter`` otherwise."""
    try:
        numbers = [float(word) for word in _words(given)]
    except ValueError:
        numbers = []
    if not numbers or not all(0 < number < float("inf") for number in numbers):
        raise typer.BadParameter(f"{given!r} is not like 1,8,64", param_hint=option)
    return numbers


def _named(option: str, given: list[str] | None) -> dict[str, str]:
    """``name=value`` of each; raises ``typer.BadParameter`` otherwise."""
    pairs = [one.partition("=") for one in given or []]
    if not all(name and value for name, _, value in pairs):
        raise typer.BadParameter(f"{given} is not like torchserve=…", param_hint=option)
    return {name: value for name, _, value in pairs}
