"""The compose files before anything runs: valid, documented, and hardened throughout."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

from gateway.config import describe, load
from gateway.models.validator import MAX_INSTANCES
from tests.compose.composition import Composition
from tests.conftest import ROOT

COMPOSE = ROOT / "compose"
PROFILES = ("", "monitoring", "loadtest", "gpu", "*")
OVERRIDES = ((), ("standin",), ("dev",), ("standin", "dev"))


def render(overrides: tuple[str, ...] = (), profile: str = "", **variables: str) -> Any:
    """What ``docker compose config`` makes of the files."""
    files = ("compose.yaml", *(f"compose/{name}.yaml" for name in overrides))
    chosen = ["--profile", profile] if profile else []
    return yaml.safe_load(Composition("x", files, variables).run(*chosen, "config"))


@pytest.mark.docker
@pytest.mark.parametrize(("overrides", "profile"), list(product(OVERRIDES, PROFILES)))
def test_each_combination_is_valid(overrides: tuple[str, ...], profile: str) -> None:
    services = render(overrides, profile)["services"]
    assert {"gateway", "torchserve", "tfserving"} <= set(services)
    for name, service in services.items():
        for mounted in service.get("volumes", []):
            if mounted["type"] == "bind":
                assert mounted["read_only"], f"{name} may write to {mounted['source']}"
                assert (ROOT / mounted["source"]).exists(), mounted["source"]


@pytest.mark.docker
def test_every_service_is_hardened_and_limited() -> None:
    for overrides in OVERRIDES:
        services = render(overrides)["services"]
        for name in ("gateway", "torchserve", "tfserving"):
            service = services[name]
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["restart"] == "unless-stopped", name
            assert set(service["deploy"]["resources"]["limits"]) >= {"cpus", "memory"}, name
            assert service["logging"]["options"]["max-size"], name


@pytest.mark.docker
def test_only_the_gateway_is_published_and_on_this_host_alone() -> None:
    rendered = render(PORT="9000")
    published = {name: one["ports"] for name, one in rendered["services"].items() if "ports" in one}
    assert set(published) == {"gateway"}
    (port,) = published["gateway"]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "9000", 8000)
    for name in ("torchserve", "tfserving"):
        assert set(rendered["services"][name]["networks"]) == {"internal"}
    assert rendered["networks"]["internal"]["internal"] is True


@pytest.mark.docker
def test_the_image_of_tensorflow_serving_is_pinned_and_the_stand_in_says_what_it_is() -> None:
    assert re.fullmatch(
        r"tensorflow/serving:\d+\.\d+\.\d+", render()["services"]["tfserving"]["image"]
    )
    stand_in = render(("standin",))["services"]["tfserving"]
    assert stand_in["labels"]["stand-in"].endswith("not TensorFlow Serving")


def test_every_variable_is_documented_with_its_default() -> None:
    documented = dict(
        re.findall(r"^#([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    )
    used = {
        (name, default)
        for path in (ROOT / "compose.yaml", *COMPOSE.glob("*.yaml"))
        # `docker stack deploy` reads no .env.
        if path.name not in ("stack.yaml", "stack-settings.yaml")
        for name, default in re.findall(r"\$\{([A-Z_]+)(?::-([^}]*))?\}", path.read_text())
    }
    # Development logs more.
    used -= {("GATEWAY_LOG_LEVEL", "debug")}
    compose_own = {("COMPOSE_FILE", "compose.yaml"), ("COMPOSE_PROFILES", "")}
    # The file is the gateway's, too: it shows some of its settings, with defaults of their own.
    defaults = {variable: str(default) for _, variable, default, _ in describe()}
    shown = {name for name, _ in set(documented.items()) - used - compose_own}
    assert {name: documented[name].lower() for name in shown} == {
        name: defaults[name].removesuffix(".0").lower() for name in shown
    }
    assert used | compose_own <= set(documented.items())


#: The messages of TensorFlow Serving's session_bundle_config.proto and monitoring_config.proto: the
#: numbers and types of their fields. The package tensorflow-serving-api leaves them out.
_PROTOS: dict[str, dict[str, tuple[int, Any]]] = {
    "BatchingParameters": {
        "max_batch_size": (1, "google.protobuf.Int64Value"),
        "batch_timeout_micros": (2, "google.protobuf.Int64Value"),
        "max_enqueued_batches": (3, "google.protobuf.Int64Value"),
        "num_batch_threads": (4, "google.protobuf.Int64Value"),
    },
    "PrometheusConfig": {"enable": (1, bool), "path": (2, str)},
    "MonitoringConfig": {"prometheus_config": (1, "tensorflow.serving.PrometheusConfig")},
}


def parse(name: str, text: str) -> Any:
    """What TensorFlow Serving reads in a file: a message, as text."""
    file = descriptor_pb2.FileDescriptorProto(
        name="configs.proto", package="tensorflow.serving", syntax="proto3"
    )
    file.dependency.append("google/protobuf/wrappers.proto")
    for message, fields in _PROTOS.items():
        described = file.message_type.add(name=message)
        for field, (number, kind) in fields.items():
            one = described.field.add(name=field, number=number, label="LABEL_OPTIONAL")
            if isinstance(kind, str):
                one.type, one.type_name = one.TYPE_MESSAGE, f".{kind}"
            else:
                one.type = {bool: one.TYPE_BOOL, str: one.TYPE_STRING}[kind]
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    found = pool.FindMessageTypeByName(f"tensorflow.serving.{name}")
    return text_format.Parse(text, message_factory.GetMessageClass(found)())


def test_tensorflow_serving_can_read_its_batching_and_monitoring() -> None:
    batching = parse("BatchingParameters", (COMPOSE / "tfserving/batching.config").read_text())
    assert batching.max_batch_size.value >= MAX_INSTANCES
    assert batching.num_batch_threads.value == 1
    monitoring = parse("MonitoringConfig", (COMPOSE / "tfserving/monitoring.config").read_text())
    assert monitoring.prometheus_config.enable
    jobs = yaml.safe_load((COMPOSE / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    (path,) = (job["metrics_path"] for job in jobs if job["job_name"] == "tfserving")
    assert monitoring.prometheus_config.path == path
    with pytest.raises(text_format.ParseError):
        parse("BatchingParameters", "max_batch_size: 10000")


@pytest.mark.docker
def test_the_files_tensorflow_serving_is_told_to_read_are_mounted() -> None:
    for service in ("tfserving", "tfserving-gpu"):
        found = render(profile="gpu")["services"][service]
        mounted = [volume["target"] for volume in found["volumes"]]
        named = [part.partition("=")[2] for part in found["command"] if "_file=/" in part]
        assert len(named) >= 1
        assert all(any(path.startswith(f"{at}/") for at in mounted) for path in named)
        # The list is made before the server starts, from whatever the repository holds.
        assert found["depends_on"]["layout"]["condition"] == "service_completed_successfully"
        assert "weight-change" not in str(found)


def test_a_folder_that_is_not_there_is_not_made() -> None:
    # Not asked of ``docker compose config``: old releases leave out what is false, new ones what
    # is true. Swarm makes none.
    mounts = [
        mount
        for path in COMPOSE.glob("*.yaml")
        if path.name not in ("stack.yaml", "stack-settings.yaml")
        for service in yaml.safe_load(path.read_text())["services"].values()
        for mount in service.get("volumes", [])
        if "${" in str(mount)
    ]
    assert len([one for one in mounts if one["source"].startswith("${MODELS:-")]) >= 7
    assert len([one for one in mounts if one["source"].startswith("${GATEWAY_FILES:-")]) >= 2
    assert all(one["bind"] == {"create_host_path": False} for one in mounts)


@pytest.mark.docker
def test_every_setting_can_be_given_to_every_gateway(tmp_path: Path) -> None:
    file = tmp_path / "own.env"
    given = {
        "GATEWAY_API_KEYS_FILE": "keys.yaml",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318",
        "PORT": "9000",
        # What would keep clients and models away, and what is for others.
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_PORT": "9000",
        "GATEWAY_REPOSITORY": "/elsewhere",
        "GATEWAY_API_KEY": "of-locust",
        "TORCH_INDEX": "https://user:password@packages.example/",
    }
    file.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    services = render(profile="*", GATEWAY_ENV=str(file), GATEWAY_FILES=str(tmp_path))["services"]
    image = services["gateway"]["image"]
    gateways = {name: one for name, one in services.items() if one["image"] == image}
    assert set(gateways) == {"gateway", "gateway-gpu"}
    for found in gateways.values():
        environment = found["environment"]
        for name in ("GATEWAY_API_KEYS_FILE", "OTEL_EXPORTER_OTLP_ENDPOINT"):
            assert environment[name] == given[name]
        assert not {"of-locust", given["TORCH_INDEX"]} & set(environment.values())
        settings = load(environ=environment)
        assert (settings.host, settings.port) == ("0.0.0.0", 8000)
        assert settings.repository == "/models"
        (mount,) = (one for one in found["volumes"] if one["target"] == "/etc/gateway")
        assert (mount["source"], mount["read_only"]) == (str(tmp_path), True)


@pytest.mark.docker
def test_what_concerns_the_servers_reaches_them_and_the_gateways() -> None:
    addresses: dict[str, Any] = {
        "GATEWAY_TORCHSERVE_URL": "http://a:8080",
        "GATEWAY_TORCHSERVE_MANAGEMENT_URL": "http://a:8081",
    }
    limits: dict[str, Any] = {"GATEWAY_MAX_INSTANCES": "5", "GATEWAY_MAX_IMAGE_PIXELS": "6"}
    kept: dict[str, Any] = {"GATEWAY_VERSIONS_KEPT": "3"}
    services = render(profile="*", **addresses, **limits, **kept)["services"]
    for name in ("gateway", "gateway-gpu"):
        assert addresses.items() <= services[name]["environment"].items()
    assert services["torchserve"]["environment"] == limits
    assert services["layout"]["environment"] == kept
