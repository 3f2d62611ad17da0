"""Every setting, declared once with its name, default and help.

A setting is read from, strongest first: the command line, ``GATEWAY_<NAME>`` in the environment,
``gateway.yaml`` (or the file ``GATEWAY_CONFIG`` names), the default. Some platforms have names of
their own for a few of them, see ``PLATFORM_VARIABLES``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta
from yarl import URL

from gateway.errors import ConfigError
from gateway.models.image_feature import MAX_PIXELS, MOST_PIXELS

DEFAULT_FILE = "gateway.yaml"
_PREFIX = "GATEWAY_"

#: What platforms call a setting; ``GATEWAY_<NAME>`` is stronger. PORT is Heroku's, Cloud Run's and
#: many others'; the rest is Vertex AI's contract for containers,
#: https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements.
PLATFORM_VARIABLES = {
    "PORT": "port",
    "AIP_HTTP_PORT": "port",
    "AIP_HEALTH_ROUTE": "health_route",
    "AIP_PREDICT_ROUTE": "predict_route",
}

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class Settings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, repr_omit_defaults=True
):
    """The settings of one gateway; see :func:`describe` for the list with help."""

    host: Annotated[str, Meta(description="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    ] = 8000
    predict_route: Annotated[
        str,
        Meta(
            pattern=r"^(/[^{}?#\s]+)?$",
            description="Second path of /v1/predict, where a platform asks for one: /invocations.",
        ),
    ] = ""
    health_route: Annotated[
        str,
        Meta(
            pattern=r"^(/[^{}?#\s]+)?$",
            description="Second path of /readyz, where a platform asks for one: /ping.",
        ),
    ] = ""
    workers: Annotated[
        Count,
        Meta(description="Processes that serve on the same port, each with its own sessions."),
    ] = 1
    repository: Annotated[
        str,
        Meta(description="Folder of models, one model folder, or a plain .onnx file."),
    ] = "serving/repository"
    default_backend: Annotated[
        str,
        Meta(
            description="Backend of a request that names none, or auto; empty takes the first "
            "of the model's manifest."
        ),
    ] = ""
    routing_policy: Annotated[
        str,
        Meta(
            description="File of the routing policy, followed while the gateway runs; empty takes "
            "routing.yaml in the repository."
        ),
    ] = ""
    reload_interval_s: Annotated[
        float,
        Meta(ge=0, description="Seconds between looks for new model versions; 0 never looks."),
    ] = 1.0
    versions_kept: Annotated[
        Count, Meta(description="Newest versions of each model that stay loaded.")
    ] = 2
    required_backends: Annotated[
        str,
        Meta(description="Comma-separated backends that must answer before /readyz says ready."),
    ] = "onnx"
    torchserve_url: Annotated[str, Meta(description="TorchServe's inference address.")] = (
        "http://127.0.0.1:8080"
    )
    torchserve_management_url: Annotated[
        str, Meta(description="TorchServe's management address, asked for readiness.")
    ] = "http://127.0.0.1:8081"
    tfserving_url: Annotated[
        str,
        Meta(
            description="TensorFlow Serving's address: http://host:8501 for REST, or "
            "grpc://host:8500, which pays from about 16 rows a call and needs the extra [grpc], "
            "which installs TensorFlow, too."
        ),
    ] = "http://127.0.0.1:8501"
    backend_urls: Annotated[
        str,
        Meta(
            pattern=r"^([\w.-]+=[^,\s]+(, *[\w.-]+=[^,\s]+)*)?$",
            description="Comma-separated addresses of further backends, those of installed "
            "packages: mlflow=http://host:5000.",
        ),
    ] = ""
    request_timeout_s: Annotated[
        Seconds, Meta(description="Seconds a prediction may take, backends included.")
    ] = 10.0
    connect_timeout_s: Annotated[Seconds, Meta(description="Seconds to connect to a backend.")] = (
        1.0
    )
    health_timeout_s: Annotated[
        Seconds, Meta(description="Seconds a backend's health check may take.")
    ] = 2.0
    health_max_age_s: Annotated[
        Seconds, Meta(description="Seconds a health check's result is believed.")
    ] = 1.0
    max_connections: Annotated[
        Count, Meta(description="Connections kept to each remote backend at most.")
    ] = 100
    remote_concurrency: Annotated[
        Count,
        Meta(
            description="Calls in flight at once to each remote backend per model and lineage; "
            "what arrives meanwhile is batched. The number of the server's workers is a good value."
        ),
    ] = 1
    max_body_bytes: Annotated[
        Count, Meta(description="Largest request body in bytes; larger ones get 413.")
    ] = 8 * 1024 * 1024
    max_instances: Annotated[Count, Meta(description="Most rows of one request.")] = 10_000
    max_image_pixels: Annotated[
        int,
        Meta(
            ge=1,
            le=MOST_PIXELS,
            description="Most pixels that the pictures of one request may have together, before "
            "they are resized or after, whichever is more; the arrays made of them may take four "
            "bytes for each, decoding a PNG eight or more. One row always has room for pictures of "
            "the sizes in its manifest. At most 178956970.",
        ),
    ] = MAX_PIXELS
    max_client_connections: Annotated[
        Count,
        Meta(
            description="Clients connected to each worker at most; beyond, idle ones are closed, "
            "and where none is idle, new ones get 503."
        ),
    ] = 10_000
    read_timeout_s: Annotated[
        Seconds,
        Meta(
            description="Seconds in which a request must have come whole, counted from its first "
            "byte, else 408; an answer must be read within three times as long. Lines of a head "
            "may have 8190 bytes and a head 128 of them, else 400."
        ),
    ] = 10.0
    idle_timeout_s: Annotated[
        Seconds,
        Meta(description="Seconds a connection is kept without a request; at most 3630."),
    ] = 75.0
    drain_grace_s: Annotated[
        float,
        Meta(
            ge=0,
            description="Seconds the gateway goes on serving after SIGTERM, while /readyz says "
            "503 and every answer closes its connection; a second signal ends them, and SIGINT "
            "skips them.",
        ),
    ] = 5.0
    shutdown_timeout_s: Annotated[
        float,
        Meta(
            ge=0,
            description="Seconds that requests in flight get to finish when the gateway stops; "
            "0 takes request_timeout_s.",
        ),
    ] = 0.0
    tls_certificate: Annotated[
        str, Meta(description="PEM file of the certificate and its chain; empty serves plain HTTP.")
    ] = ""
    tls_key: Annotated[
        str, Meta(description="PEM file of the certificate's key, without a passphrase.")
    ] = ""
    api_keys_file: Annotated[
        str,
        Meta(
            description="File of API keys' hashes that `gateway key new` makes; empty lets "
            "everyone in. A change is followed within a second."
        ),
    ] = ""
    management_port: Annotated[
        int,
        Meta(
            ge=0,
            le=65535,
            description="Port of /metrics, /v1/backends, /v1/routing and /v1/shadow, which the "
            "public one then answers with 404; 0 leaves them there.",
        ),
    ] = 0
    management_host: Annotated[
        str, Meta(description="Address on which management_port is listened on.")
    ] = "127.0.0.1"
    onnx_threads: Annotated[
        int,
        Meta(
            ge=0,
            description="Threads of each ONNX Runtime session; 0 takes the cgroup's CPU quota, "
            "of which several workers take equal shares.",
        ),
    ] = 0
    onnx_providers: Annotated[
        str,
        Meta(
            description="Comma-separated execution providers of ONNX Runtime, the best first; for "
            "one that cannot be had the next computes, at last the CPU, with a warning in the log "
            "and in /v1/backends. `gateway providers` lists them."
        ),
    ] = "CPUExecutionProvider"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least level logged.")
    ] = "info"
    access_log: Annotated[
        bool, Meta(description="Log a JSON line for every request, not only for failed ones.")
    ] = False

    @property
    def required(self) -> frozenset[str]:
        """``required_backends`` as names."""
        return frozenset(name.strip() for name in self.required_backends.split(",") if name.strip())

    def url_of(self, backend: str) -> str:
        """What ``backend_urls`` says of a backend; raises :class:`ConfigError` for nothing."""
        for entry in self.backend_urls.split(","):
            name, _, url = entry.strip().partition("=")
            if name == backend and url:
                return url
        raise ConfigError(
            f"backend_urls: it names no address of {backend}; allowed: {backend}=http://host:port"
        )

    @property
    def providers(self) -> tuple[str, ...]:
        """``onnx_providers`` as names, each once; the CPU where it is empty."""
        names = (name.strip() for name in self.onnx_providers.split(","))
        return tuple(dict.fromkeys(filter(None, names))) or ("CPUExecutionProvider",)

    @property
    def shutdown_s(self) -> float:
        """``shutdown_timeout_s``, or what stands for it."""
        return self.shutdown_timeout_s or self.request_timeout_s

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self.masked().items())
        return f"Settings({', '.join(shown)})"

    def masked(self) -> dict[str, Any]:
        """The settings by name, without the credentials a URL may hold."""
        shown = {
            name: mask(value) if isinstance(value, str) and "://" in value else value
            for name, value in msgspec.structs.asdict(self).items()
        }
        entries = [entry.strip().partition("=") for entry in self.backend_urls.split(",")]
        shown["backend_urls"] = ",".join(name + sign + mask(url) for name, sign, url in entries)
        return shown


def mask(url: str) -> str:
    """The URL with its password, if any, replaced by stars."""
    try:
        parsed = URL(url)
    except ValueError:
        return "***"
    return str(parsed.with_password("***") if parsed.password else parsed)


def load(
    overrides: Mapping[str, Any] | None = None,
    file: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Gather the settings; ``overrides`` (the command line's) win where they are not None.

    Raises :class:`ConfigError` naming the source and the setting.
    """
    path = file or (Path(environ["GATEWAY_CONFIG"]) if environ.get("GATEWAY_CONFIG") else None)
    values = _read(path or Path(DEFAULT_FILE), required=path is not None)
    sources = dict.fromkeys(values, str(path or DEFAULT_FILE))
    for variable, name in PLATFORM_VARIABLES.items():
        if environ.get(variable):
            values[name], sources[name] = environ[variable], variable
    known = {entry.name for entry in msgspec.structs.fields(Settings)}
    for name in known:
        variable = _PREFIX + name.upper()
        if environ.get(variable):
            values[name], sources[name] = environ[variable], variable
    for name, value in (overrides or {}).items():
        if value is not None:
            values[name], sources[name] = value, "the command line"
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(f"{sources[unknown[0]]}: there is no setting {unknown[0]!r}")
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        name = str(error).rpartition("$.")[2].rstrip("`")
        raise ConfigError(f"{sources.get(name, 'settings')}: {error}") from error


def to_environment(settings: Settings) -> dict[str, str]:
    """The settings as the environment variables :func:`load` reads."""
    return {
        _PREFIX + name.upper(): str(value)
        for name, value in msgspec.structs.asdict(settings).items()
        if value != ""
    }


def describe() -> list[tuple[str, str, Any, str]]:
    """Every setting: its name, environment variable, default and help."""
    rows = []
    for entry in msgspec.inspect.type_info(Settings).fields:  # type: ignore[attr-defined]
        metadata = entry.type
        help_text = (metadata.extra_json_schema or {}).get("description", "")
        rows.append((entry.name, _PREFIX + entry.name.upper(), entry.default, help_text))
    return rows


def _read(path: Path, required: bool) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError as error:
        if not required:
            return {}
        raise ConfigError(f"{path}: there is no such file") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: it must hold settings by name")
    return {str(name): value for name, value in content.items()}
