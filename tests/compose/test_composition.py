"""Everything up in a real engine: it answers, it is confined, and it comes back when killed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from serving.launch.ports import free_port
from tests.compose.composition import Composition, health, kill, readable, wait_for
from tests.compose.load import Load
from tests.conftest import ROOT, TALK
from tests.gateway.api.test_guard import AS_USER, PAYLOAD, write_keys
from tests.test_quickstart import block

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

SERVICES = ("gateway", "torchserve", "tfserving")
#: Seconds a killed server may take until it answers again.
BACK_S = 240


def inside(container: Any, *command: str) -> tuple[int, str]:
    """Exit status and output of a command run in the container, as its own user."""
    status, output = container.exec_run(list(command))
    return status, output.decode()


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_is_healthy(composition: Composition, service: str) -> None:
    assert health(composition.container(service)) == "healthy"


def test_the_readme_gets_three_predictions(composition: Composition) -> None:
    answered = subprocess.run(
        ["bash", "-c", block("for backend in")],
        env=os.environ | {"PORT": composition.variables["PORT"]},
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [json.loads(line) for line in answered.stdout.splitlines()]
    assert [one["backend"] for one in answers] == ["onnx", "torchserve", "tfserving"]
    assert all(len(one["predictions"]) == 1 for one in answers)


def test_the_backends_say_what_they_are(composition: Composition) -> None:
    report = requests.get(f"{composition.url}/v1/backends", timeout=10).json()["backends"]
    states = {one["name"]: (one["state"], one["stand_in"]) for one in report}
    assert states == {
        "onnx": ("ready", None),
        "torchserve": ("ready", None),
        "tfserving": ("ready", "tensorflow-serving"),
    }


@pytest.mark.parametrize("service", SERVICES)
def test_each_container_is_confined(composition: Composition, service: str) -> None:
    container = composition.container(service)
    assert inside(container, "id", "-u") == (0, "65532\n")
    status, output = inside(container, "touch", "/opt/mine")
    assert (status, "Read-only file system" in output) == (1, True), output
    status, output = inside(container, "touch", "/models/weight-change/mine")
    assert (status, "Read-only file system" in output) == (1, True), output
    assert inside(container, "touch", "/tmp/mine")[0] == 0
    status, output = inside(
        container, "grep", "-E", "^(CapEff|CapBnd|NoNewPrivs)", "/proc/1/status"
    )
    found = dict(line.split(":\t") for line in output.splitlines())
    assert found == {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1"}


@pytest.mark.parametrize("service", ["torchserve", "tfserving"])
def test_a_backend_is_on_the_internal_network_alone(composition: Composition, service: str) -> None:
    container = composition.container(service)
    settings = container.attrs["NetworkSettings"]
    assert not any(settings["Ports"].values())
    (name,) = settings["Networks"]
    assert docker.from_env().networks.get(name).attrs["Internal"]
    # It reaches the gateway on the internal network, and nothing beyond it.
    gateway = composition.container("gateway").attrs["NetworkSettings"]["Networks"]
    assert len(gateway) == 2
    for network, one in gateway.items():
        script = f"exec 3<>/dev/tcp/{one['IPAddress']}/8000"
        status, _ = inside(container, "timeout", "3", "bash", "-c", script)
        assert (status == 0) == (network == name), network


@pytest.mark.parametrize("service", ["torchserve", "tfserving"])
def test_a_killed_backend_comes_back_under_load(composition: Composition, service: str) -> None:
    container = composition.container(service)
    before = container.attrs["RestartCount"]
    with (
        Load(composition.url, "onnx", TALK) as other,
        Load(composition.url, service, TALK) as own,
    ):
        wait_for(lambda: own.outcomes["200"] > 10, 30)
        kill(container)
        wait_for(lambda: own.outcomes.total() > own.outcomes["200"], 30)

        def restarted() -> bool:
            return health(container) == "healthy" and container.attrs["RestartCount"] == before + 1

        wait_for(restarted, BACK_S)
        wait_for(lambda: composition.predict(TALK, backend=service).status_code == 200, 30)
        answered = own.outcomes["200"]
        wait_for(lambda: own.outcomes["200"] > answered + 10, 30)
    assert set(other.outcomes) == {"200"}
    assert set(own.outcomes) <= {"200", "502", "503", "504"}
    assert own.longest < 15


def test_the_gateway_comes_back_when_it_is_killed(composition: Composition) -> None:
    container = composition.container("gateway")
    before = container.attrs["RestartCount"]
    kill(container)

    def restarted() -> bool:
        return health(container) == "healthy" and container.attrs["RestartCount"] == before + 1

    wait_for(restarted, BACK_S)
    assert composition.predict(TALK, backend="onnx").status_code == 200


def test_a_changed_source_is_followed_in_development(composition: Composition) -> None:
    files = ("compose.yaml", "compose/dev.yaml")
    project = f"{composition.project}-dev"
    copied = Composition(project, files, composition.variables | {"PORT": str(free_port())})
    try:
        copied.run("up", "--detach", "--build", "--wait", "--no-deps", "gateway", within=600)
        gateway = copied.container("gateway")
        assert "watchfiles" in " ".join(gateway.attrs["Config"]["Entrypoint"])
        started = gateway.logs().decode().count("listening on")
        os.utime(ROOT / "gateway" / "__init__.py")
        wait_for(lambda: gateway.logs().decode().count("listening on") > started, 30)
        wait_for(lambda: health(gateway) == "healthy", 30)
    finally:
        copied.run("down", "--volumes", "--timeout", "10")
    assert copied.leftovers() == []


def test_a_repository_of_onnx_alone_comes_up(
    composition: Composition, tmp_path: Path, mixed_repository: Path
) -> None:
    """Settings, keys and models of one's own; the servers have nothing to serve, and say so."""
    files = tmp_path / "files"
    files.mkdir()
    write_keys(files / "keys.yaml")
    (files / "own.env").write_text("GATEWAY_API_KEYS_FILE=keys.yaml\nGATEWAY_MAX_INSTANCES=1\n")
    readable(tmp_path)
    own = {
        "MODELS": str(mixed_repository),
        "GATEWAY_FILES": str(files),
        "GATEWAY_ENV": str(files / "own.env"),
        "PORT": str(free_port()),
    }
    small = Composition(f"{composition.project}-own", variables=own)
    try:
        small.run("up", "--detach", "--wait", "--no-build", within=180)
        said = {name: small.container(name).logs().decode() for name in ("layout", "torchserve")}
        assert "no SavedModel" in said["layout"]
        assert "no archive (*.mar)" in said["torchserve"]
        assert small.predict(PAYLOAD).status_code == 401
        url = f"{small.url}/v1/predict"
        answer = requests.post(url, json=PAYLOAD, headers=AS_USER, timeout=10)
        assert answer.status_code == 200, answer.text
        two = {"instances": [PAYLOAD, PAYLOAD]}
        assert requests.post(url, json=two, headers=AS_USER, timeout=10).status_code == 422
    finally:
        small.run("down", "--volumes", "--timeout", "5")
    assert small.leftovers() == []
