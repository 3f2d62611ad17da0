"""The images: small, without a compiler, and good first processes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
import pytest
import requests

from serving.launch.ports import free_port
from tests.compose.composition import TAG, Composition, health, wait_for
from tests.conftest import TALK

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

IMAGES = ("serving-gateway", "serving-torchserve", "serving-standin")
#: The gateway's image takes at most this part of TorchServe's.
PART = 1 / 4
HEALTH = ["python", "-I", "-S", "/opt/health.py"]


@contextmanager
def gateway(*, port: int, command: list[str] | None = None, **environment: str) -> Iterator[Any]:
    """A gateway as a platform would run it: read-only, told its port, published on the same."""
    container = docker.from_env().containers.run(
        f"serving-gateway:{TAG}",
        command,
        detach=True,
        environment=environment,
        ports={f"{port}/tcp": ("127.0.0.1", port)},
        read_only=True,
        tmpfs={"/tmp": ""},
        cap_drop=["ALL"],
    )
    try:
        wait_for(lambda: health(container) == "healthy", 60, lambda: container.logs().decode())
        yield container
    finally:
        container.remove(force=True)


def test_the_gateway_takes_a_quarter_of_torchserve(built: Composition) -> None:
    images = docker.from_env().images
    sizes = {name: images.get(f"{name}:{TAG}").attrs["Size"] / 1e6 for name in IMAGES}
    print({name: f"{size:.0f} MB" for name, size in sizes.items()})
    assert sizes["serving-gateway"] <= PART * sizes["serving-torchserve"], sizes


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_has_no_compiler_and_no_root(built: Composition, name: str) -> None:
    engine = docker.from_env()
    image = engine.images.get(f"{name}:{TAG}")
    assert image.attrs["Config"]["User"] == "65532:65532"
    script = "for p in cc gcc g++ c++ clang ld as make cargo rustc javac; do command -v $p; done; :"
    assert engine.containers.run(image.id, ["-c", script], entrypoint="sh", remove=True) == b""


@pytest.mark.parametrize("name", IMAGES)
def test_what_an_image_holds_can_be_listed(built: Composition, name: str) -> None:
    script = (
        "import importlib.metadata as m; "
        "print(*sorted(d.metadata['Name'].lower() for d in m.distributions()))"
    )
    engine = docker.from_env()
    image = f"{name}:{TAG}"
    listed = engine.containers.run(image, ["-c", script], entrypoint="python", remove=True)
    assert {"model-serving-gateway", "numpy", "msgspec"} <= set(listed.decode().split())
    debian = engine.containers.run(image, ["-s", "libc6"], entrypoint="dpkg", remove=True)
    assert b"Status: install ok installed" in debian


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_installs_no_packages_and_has_pythons_library_compiled(
    built: Composition, name: str
) -> None:
    # The interpreter below the environment, which has no packages of its own in any case.
    script = """
import importlib.util, json, os, subprocess, sys
base = os.path.realpath(sys.executable)
own = {m: subprocess.run([base, "-m", m, "--version"], capture_output=True).returncode
       for m in ("pip", "ensurepip", "wheel")}
modules = (importlib.util.find_spec(m).origin for m in ("json", "asyncio.tasks", "http.client"))
print(json.dumps([own, [importlib.util.cache_from_source(m) for m in modules]]))
"""
    engine = docker.from_env()
    image = f"{name}:{TAG}"
    told = engine.containers.run(image, ["-c", script], entrypoint="python", remove=True)
    installers, compiled = json.loads(told)
    assert all(installers.values()), installers
    engine.containers.run(image, ["-l", *compiled], entrypoint="ls", remove=True)


def test_port_is_honoured_and_sigterm_ends_it_well(built: Composition) -> None:
    port = free_port()
    with gateway(port=port, PORT=str(port)) as container:
        url = f"http://127.0.0.1:{port}"
        answer = requests.post(f"{url}/v1/predict?backend=onnx", json=TALK, timeout=10)
        assert answer.status_code == 200, answer.text
        assert container.exec_run(["cat", "/proc/1/comm"]).output == b"gateway\n"
        container.kill("SIGTERM")
        time.sleep(1)
        # It drains: it goes on serving, and says that it is not ready.
        assert requests.get(f"{url}/readyz", timeout=10).status_code == 503
        assert requests.post(f"{url}/v1/predict", json=TALK, timeout=10).status_code == 200
        assert container.wait(timeout=30)["StatusCode"] == 0


def test_a_gateway_that_is_not_ready_is_not_healthy(built: Composition) -> None:
    port = free_port()
    with gateway(port=port, PORT=str(port)) as container:
        container.kill("SIGTERM")
        time.sleep(1)
        status, output = container.exec_run(HEALTH)
        assert (status, b"draining" in output) == (1, True), output


def test_a_container_in_which_nothing_listens_is_not_healthy(built: Composition) -> None:
    with pytest.raises(docker.errors.ContainerError, match="does not answer"):
        docker.from_env().containers.run(
            f"serving-gateway:{TAG}", HEALTH[1:], entrypoint=HEALTH[0], remove=True
        )


def test_the_health_check_follows_the_gateway(built: Composition) -> None:
    """An option of the command, an address of its own, TLS, a second port for the management."""
    with gateway(
        command=["serve", "--port", "9010"],
        port=9010,
        GATEWAY_HOST="127.0.0.1",
        GATEWAY_MANAGEMENT_PORT="9011",
    ) as container:
        status, output = container.exec_run(HEALTH)
        assert (status, output.count(b'"ready"')) == (0, 2), output
        # It runs on the core that serves, so it loads little: 0.03 s of it, where the settings'
        # packages would take 0.09 s.
        script = "import runpy, sys; runpy.run_path(sys.argv[1]); print(len(sys.modules))"
        status, output = container.exec_run([*HEALTH[:-1], "-c", script, HEALTH[-1]])
        assert (status, int(output) < 80) == (0, True), output


def test_torchserve_ends_by_sigterm(built: Composition) -> None:
    container = docker.from_env().containers.run(
        f"serving-torchserve:{TAG}",
        detach=True,
        read_only=True,
        tmpfs={"/tmp": "exec"},
        cap_drop=["ALL"],
        network_mode="none",
    )
    try:
        wait_for(lambda: health(container) == "healthy", 90, lambda: container.logs().decode())
        started = time.monotonic()
        container.stop(timeout=30)
        assert time.monotonic() - started < 15
        # 128 + SIGTERM is how Java ends by it; by SIGKILL it were 137.
        assert container.wait()["StatusCode"] == 143
    finally:
        container.remove(force=True)
