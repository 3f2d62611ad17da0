"""The stand-in's command line, with the option names of ``tensorflow_model_server``."""

from __future__ import annotations

import argparse
import logging
import os
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiohttp import web

logger = logging.getLogger("serving.standin")


def main(argv: Sequence[str] | None = None) -> None:
    """Serve SavedModels until SIGINT or SIGTERM; exits 2 on wrong options or a taken port."""
    parser = _parser()
    options = parser.parse_args(argv)
    models, labels = _models(parser, options), _labels(parser, options)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Bound before TensorFlow is imported, so that a taken port is told at once; it refuses
    # connections until run_app listens on it. gRPC takes no socket of ours, only the address.
    listener = _bind(parser, options.host, options.rest_api_port)
    if options.port:
        _bind(parser, options.host, options.port).close()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Imported here for the reason above, and so that --help answers at once.
    try:
        import tensorflow as tf
    except ImportError:
        parser.error("TensorFlow is not installed; install it with: pip install '.[tfserving]'")
    if options.port:
        try:
            from serving.standin.grpc import serve
        except ImportError as error:
            parser.error(
                f"gRPC needs what is not installed here ({error}); install it with:"
                " pip install '.[tfserving]', or leave gRPC out: --port=0"
            )
    from serving.standin.manager import ModelManager
    from serving.standin.rest import create_app
    from serving.standin.servable import Servable

    def load(folder: Path) -> Servable:
        return Servable(
            folder,
            intra_threads=options.tensorflow_intra_op_parallelism,
            inter_threads=options.tensorflow_inter_op_parallelism,
            timeout_ms=options.rest_api_timeout_in_ms,
            check_methods=options.enable_signature_method_name_check,
            tags=options.saved_model_tags.split(","),
        )

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="tensorflow") as worker:
        manager = ModelManager(
            models,
            load,
            retire=lambda servable: worker.submit(servable.close),
            labels=labels,
            keep=options.version_policy,
        )
        manager.refresh()
        max_body = options.max_body_mb * 2**20
        app = create_app(
            manager, worker, max_body=max_body, poll_s=options.file_system_poll_wait_seconds
        )
        host, port = listener.getsockname()[:2]
        apis = f"REST API at http://{host}:{port}"
        if options.port:
            apis += f", gRPC API at grpc://{host}:{options.port}"
            address = f"{host}:{options.port}"
            app.cleanup_ctx.append(lambda _: serve(manager, worker, address, max_body=max_body))
        logger.info(
            "TensorFlow Serving stand-in (TensorFlow %s, not TensorFlow Serving): %s, models: %s",
            tf.__version__,
            apis,
            ", ".join(models) or "none",
        )
        web.run_app(app, sock=listener, print=None, access_log=None, shutdown_timeout=5)


def _bind(parser: argparse.ArgumentParser, host: str, port: int) -> socket.socket:
    """A socket bound to the address; ends the program where it is taken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        parser.error(f"{host}:{port}: {error.strerror}")
    return listener


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tfserving-standin",
        description="A stand-in for TensorFlow Serving: runs SavedModels with TensorFlow behind"
        " TensorFlow Serving's documented REST and gRPC interfaces.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    same = parser.add_argument_group("options of tensorflow_model_server")
    same.add_argument("--port", type=int, default=8500, help="port of gRPC; 0 leaves it out")
    same.add_argument("--rest_api_port", type=int, default=8501, help="port; 0 takes a free one")
    same.add_argument("--model_name", default="default", help="name of --model_base_path")
    same.add_argument("--model_base_path", type=Path, help="folder of numbered version folders")
    same.add_argument(
        "--model_config_file", type=Path, help="list of models, read once: names and base paths"
    )
    same.add_argument(
        "--file_system_poll_wait_seconds", type=float, default=1, help="0 looks only at the start"
    )
    same.add_argument("--rest_api_timeout_in_ms", type=int, default=30_000, help="limit of a run")
    same.add_argument("--tensorflow_intra_op_parallelism", type=int, default=1, help="0: automatic")
    same.add_argument("--tensorflow_inter_op_parallelism", type=int, default=1, help="0: automatic")
    same.add_argument("--saved_model_tags", default="serve", help="comma-separated")
    same.add_argument(
        "--enable_signature_method_name_check",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="classify and regress demand a signature of that method name",
    )
    own = parser.add_argument_group("options of the stand-in alone")
    own.add_argument(
        "--model", action="append", default=[], metavar="NAME=PATH", help="a model; repeatable"
    )
    own.add_argument(
        "--version_label",
        action="append",
        default=[],
        metavar="NAME:LABEL=VERSION",
        help="a label of a version; repeatable",
    )
    own.add_argument(
        "--version_policy", choices=["latest", "all"], default="latest", help="versions to serve"
    )
    own.add_argument("--host", default="127.0.0.1", help="address to listen on")
    own.add_argument("--max_body_mb", type=int, default=64, help="largest request body, in MiB")
    return parser


def _models(parser: argparse.ArgumentParser, options: argparse.Namespace) -> dict[str, Path]:
    models = {}
    if options.model_base_path is not None:
        models[options.model_name] = options.model_base_path
    for entry in options.model:
        name, equals, path = entry.partition("=")
        if not name or not equals or not path:
            parser.error(f"--model {entry}: expected NAME=PATH")
        models[name] = Path(path)
    if options.model_config_file is not None:
        models |= _listed(parser, options.model_config_file)
    elif not models:
        parser.error("no model: give --model_base_path, or --model NAME=PATH")
    for name, path in models.items():
        if not path.is_dir():
            parser.error(f"model {name}: {path} is not a folder")
    return models


def _listed(parser: argparse.ArgumentParser, path: Path) -> dict[str, Path]:
    """The models of a ``model_config_list``; an empty one is all right, as for the original."""
    try:
        from google.protobuf import text_format
        from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig
    except ImportError as error:
        parser.error(f"--model_config_file needs {error.name}: pip install '.[tfserving]'")
    try:
        config = text_format.Parse(path.read_text(encoding="utf-8"), ModelServerConfig())
    except (OSError, text_format.ParseError) as error:
        parser.error(f"--model_config_file {path}: {error}")
    return {one.name: Path(one.base_path) for one in config.model_config_list.config}


def _labels(
    parser: argparse.ArgumentParser, options: argparse.Namespace
) -> dict[str, dict[str, int]]:
    labels: dict[str, dict[str, int]] = {}
    for entry in options.version_label:
        target, _, number = entry.partition("=")
        name, _, label = target.partition(":")
        if not name or not label or not number.isdecimal():
            parser.error(f"--version_label {entry}: expected NAME:LABEL=VERSION")
        labels.setdefault(name, {})[label] = int(number)
    return labels
