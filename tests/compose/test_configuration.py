"""The compose files before anything runs: valid, documented, and hardened throughout."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest
import yaml
from google.protobuf import text_format

from serving.launch.repository import saved_models
from tests.compose.composition import Composition
from tests.conftest import REPOSITORY, ROOT

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
        if path.name != "stack.yaml"
        for name, default in re.findall(r"\$\{([A-Z_]+)(?::-([^}]*))?\}", path.read_text())
    }
    # Development logs more.
    used -= {("GATEWAY_LOG_LEVEL", "debug")}
    compose_own = {("COMPOSE_FILE", "compose.yaml"), ("COMPOSE_PROFILES", "")}
    assert set(documented.items()) == used | compose_own


def test_tensorflow_serving_is_told_of_every_model() -> None:
    pytest.importorskip("tensorflow_serving")
    from tensorflow_serving.config import model_server_config_pb2

    text = (COMPOSE / "tfserving" / "models.config").read_text()
    parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    told = {entry.name: entry.base_path for entry in parsed.model_config_list.config}
    assert told == {name: f"/models/{name}" for name in saved_models(REPOSITORY)}
    service = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]["tfserving"]
    mounted = {volume.rsplit(":", 2)[1] for volume in service["volumes"]}
    assert {f"{path}/1" for path in told.values()} <= mounted
