"""``gateway up``: TorchServe, TensorFlow Serving and the gateway on this machine, in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# The gateway's command line imports this module for every command; the launchers and all they need
# are imported when `up` runs.


def up(
    repository: Annotated[
        Path, typer.Option(envvar="GATEWAY_REPOSITORY", help="Folder of models, or one model.")
    ] = Path("serving/repository"),
    host: Annotated[
        str, typer.Option(envvar="GATEWAY_HOST", help="Address the gateway listens on.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(envvar=["GATEWAY_PORT", "PORT"], help="The gateway's port; 0: a free one."),
    ] = 8000,
    torchserve: Annotated[bool, typer.Option(help="Start TorchServe.")] = True,
    tfserving: Annotated[
        bool, typer.Option(help="Start TensorFlow Serving, or its stand-in where there is none.")
    ] = True,
    torchserve_port: Annotated[int, typer.Option(help="TorchServe, inference.")] = 8080,
    management_port: Annotated[int, typer.Option(help="TorchServe, management.")] = 8081,
    metrics_port: Annotated[int, typer.Option(help="TorchServe, metrics.")] = 8082,
    grpc_inference_port: Annotated[int, typer.Option(help="TorchServe, gRPC inference.")] = 7070,
    grpc_management_port: Annotated[int, typer.Option(help="TorchServe, gRPC management.")] = 7071,
    tfserving_port: Annotated[int, typer.Option(help="TensorFlow Serving, REST.")] = 8501,
    tfserving_grpc_port: Annotated[int, typer.Option(help="TensorFlow Serving, gRPC.")] = 8500,
    torchserve_config: Annotated[
        Path | None, typer.Option(help="TorchServe's configuration [default: config.properties].")
    ] = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(help="Folder for logs and working files; by default one that is removed."),
    ] = None,
    keep_logs: Annotated[bool, typer.Option(help="Do not remove the run folder.")] = False,
    ready_timeout: Annotated[float, typer.Option(help="Seconds a server may take to start.")] = 120,
) -> None:
    """Start TorchServe, TensorFlow Serving and the gateway; Ctrl-C stops them all."""
    import asyncio
    import shutil
    import tempfile

    from rich.console import Console

    from serving.launch import Gateway, LaunchError, Server, Supervisor, TFServing, TorchServe
    from serving.launch.board import make_board
    from serving.launch.session import run_until_told
    from serving.launch.torchserve import TorchServePorts

    folder = run_dir or Path(tempfile.mkdtemp(prefix="gateway-up-"))
    folder = folder.resolve()
    removed = run_dir is None and not keep_logs
    servers: list[Server] = []
    if torchserve:
        ports = TorchServePorts(
            torchserve_port,
            management_port,
            metrics_port,
            grpc_inference_port,
            grpc_management_port,
        )
        servers.append(TorchServe(folder, repository, ports, torchserve_config))
    if tfserving:
        servers.append(TFServing(folder, repository, tfserving_port, grpc_port=tfserving_grpc_port))
    gateway = Gateway(folder, repository, servers, host, port)
    code = 1
    try:
        with make_board(Console()) as board:
            supervisor = Supervisor([[gateway], servers], ready_s=ready_timeout)
            if not removed:
                board.say(f"logs: {folder}")
            code = asyncio.run(run_until_told(supervisor, board, gateway, repository))
    except LaunchError as error:
        removed = False
        Console(stderr=True).print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        typer.echo(f"The logs are in {folder}", err=True)
    finally:
        if removed:
            shutil.rmtree(folder, ignore_errors=True)
    raise typer.Exit(code)
