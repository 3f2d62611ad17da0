"""What surrounds the servers, and the stack: what they name is there, and they are confined."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from gateway.config import describe, load
from tests.conftest import ROOT

COMPOSE = ROOT / "compose"
#: File: the profile of its services.
_PARTS = {"monitoring": "monitoring", "loadtest": "loadtest", "gpu": "gpu"}
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def read(name: str) -> dict[str, Any]:
    """A compose file with its variables at their defaults; what must be set is a real folder."""

    def value(found: re.Match[str]) -> str:
        return "../serving/repository" if found[2] == "?" else found[3] or ""

    text = _VARIABLE.sub(value, (COMPOSE / f"{name}.yaml").read_text())
    document = yaml.safe_load(text)
    assert isinstance(document, dict)
    return document


SERVICES = [(part, name) for part in _PARTS for name in read(part)["services"]]


def service(part: str, name: str) -> dict[str, Any]:
    found = read(part)["services"][name]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(("part", "name"), SERVICES)
def test_a_service_waits_for_its_profile(part: str, name: str) -> None:
    assert service(part, name)["profiles"] == [_PARTS[part]]


@pytest.mark.parametrize(("part", "name"), SERVICES)
def test_a_service_is_confined_and_reached_from_this_machine_only(part: str, name: str) -> None:
    found = service(part, name)
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert {"cpus", "memory"} == found["deploy"]["resources"]["limits"].keys()
    assert found["logging"]["options"]["max-size"]
    assert all(port.startswith("127.0.0.1:") for port in found.get("ports", []))
    # On the internal network is who asks the servers behind the gateway, and nobody else. It
    # publishes nothing: who has a port has another network.
    asks = name in {"prometheus", "tfserving-gpu", "gateway-gpu"}
    assert ("internal" in found["networks"]) == asks
    assert len(found["networks"]) == asks + ("ports" in found)
    # Our own images name their user themselves.
    ours = "build" in found or found["image"].startswith("serving-")
    assert ours or re.fullmatch(r"[1-9]\d*:[1-9]\d*", found["user"])


@pytest.mark.parametrize(("part", "name"), SERVICES)
def test_what_a_service_names_is_there(part: str, name: str) -> None:
    found, document = service(part, name), read(part)
    for volume in found["volumes"]:
        if isinstance(volume, dict):
            assert (COMPOSE / volume["source"]).exists()
            assert volume["read_only"] is True
            assert volume["bind"] == {"create_host_path": False}
            continue
        source, _, options = (
            volume.split(":", 2) if volume.count(":") == 2 else (*volume.split(":"), "")
        )
        if source.startswith("."):
            assert (COMPOSE / source).exists(), source
            assert options == "ro"
        else:
            assert source in document.get("volumes", read("compose")["volumes"])
    if "build" in found:
        context = COMPOSE / found["build"]["context"]
        assert context.resolve() == ROOT
        assert (context / found["build"]["dockerfile"]).is_file()
    image = found["image"].partition(":")
    assert image[2], "not pinned"
    assert image[2] != "latest" or image[0].startswith("serving-")


@pytest.mark.parametrize("part", [*_PARTS, "stack"])
def test_the_gateways_variables_are_settings(part: str) -> None:
    known = {variable for _, variable, _, _ in describe()}
    # In the file of settings, but for others.
    known |= {"GATEWAY_API_KEY", "TORCH_INDEX"}
    for name, found in read(part)["services"].items():
        if name.startswith("gateway"):
            assert found["environment"].keys() <= known
            load(environ={key: str(value) for key, value in found["environment"].items()})


def test_locust_finds_the_gateway_and_the_manifests() -> None:
    locust = service("loadtest", "locust")
    mount = locust["environment"]["LOADTEST_REPOSITORY"]
    assert mount in [volume["target"] for volume in locust["volumes"]]
    assert set(locust["networks"]) & set(read("compose")["services"]["gateway"]["networks"])
    assert locust["environment"]["LOCUST_HOST"] == "http://gateway:8000"
    assert "gateway" in locust["depends_on"]


def test_the_stack_updates_without_a_gap() -> None:
    stack = read("stack")
    gateway, front = stack["services"]["gateway"], stack["services"]["front"]
    assert gateway["deploy"]["replicas"] == 3
    update = gateway["deploy"]["update_config"]
    assert (update["order"], update["failure_action"]) == ("start-first", "rollback")
    assert gateway["deploy"]["rollback_config"]["order"] == "start-first"
    assert gateway["healthcheck"]["test"]
    settings = load(environ=gateway["environment"])
    grace = int(gateway["stop_grace_period"].rstrip("s"))
    assert grace > settings.drain_grace_s + settings.shutdown_s
    # Other stacks in the Swarm have fronts, too: the config's name counts in the whole of it.
    assert stack["configs"]["haproxy"]["name"].startswith("gateway-")
    # Swarm's routing mesh is nowhere needed.
    for found in (gateway, front):
        assert found["deploy"]["endpoint_mode"] == "dnsrr"
    assert [port["mode"] for port in front["ports"]] == ["host"]
    assert "ports" not in gateway
    mounts = [volume for volume in gateway["volumes"] if volume["type"] == "bind"]
    assert all(mount["read_only"] for mount in mounts)
    assert gateway["read_only"] is True
    assert gateway["cap_drop"] == ["ALL"]


def test_the_stack_takes_settings_and_keys() -> None:
    parts = read("stack-settings")
    gateway = parts["services"]["gateway"]
    (config,), (secret,) = gateway["configs"], gateway["secrets"]
    # The image's working folder, where the gateway looks for its settings.
    dockerfile = (COMPOSE / "gateway" / "Dockerfile").read_text()
    assert f"WORKDIR {config['target'].removesuffix('/gateway.yaml')}\n" in dockerfile
    settings = load(environ=gateway["environment"])
    assert settings.api_keys_file == f"/run/secrets/{secret['target']}"
    assert f"USER {secret['uid']}:" in dockerfile
    assert config["source"] in parts["configs"]
    assert secret["source"] in parts["secrets"]
    # Nothing that the stack's own variables would override by something empty.
    assert not gateway["environment"].keys() & read("stack")["services"]["gateway"]["environment"]


def test_the_front_asks_for_the_replicas_as_the_stack_names_them() -> None:
    stack = read("stack")
    (config,) = stack["services"]["front"]["configs"]
    path = COMPOSE / stack["configs"][config["source"]]["file"]
    text = path.read_text()
    port = load(environ=stack["services"]["gateway"]["environment"]).port
    assert f"gateway:{port}\n" in text
    assert f"bind :{stack['services']['front']['ports'][0]['target']}\n" in text
    # The image that is built from Debian's package reads it from the same place.
    assert config["target"] in (path.parent / "Dockerfile").read_text()
