"""TensorFlow Serving's launcher: the stand-in for real; binary and container by doubles on PATH.

The doubles take the command lines of ``tensorflow_model_server`` and ``docker`` and run the
stand-in on what they are given, so that layout, configuration and end are those of the launcher.
"""

from __future__ import annotations

import importlib.util
import json
import re
import stat
import sys
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from serving.launch import LaunchError, TFServing
from serving.launch.tfserving import choose_engine
from tests.conftest import REPOSITORY, ROOT
from tests.serving.launch.conftest import assert_gone


async def predict(url: str) -> Any:
    body = json.dumps({"instances": [[0.5] * 17, [0.25] * 17]})
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/models/weight-change:predict", data=body) as reply,
    ):
        assert reply.status == 200
        return (await reply.json())["predictions"], reply.headers.get("X-Stand-In")


async def state_over_grpc(url: str) -> str:
    message = get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = "weight-change"
    async with grpc.aio.insecure_channel(url.removeprefix("grpc://")) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        (version,) = (await stub.GetModelStatus(message, timeout=10)).model_version_status
    name: str = get_model_status_pb2.ModelVersionStatus.State.Name(version.state)
    return name


async def test_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # found from any folder
    server = TFServing(tmp_path / "run", REPOSITORY, 0, "stand-in", grpc_port=0)
    await server.start()
    try:
        await server.wait_ready(60)
        predictions, stand_in = await predict(server.url)
        assert len(predictions) == 2
        assert stand_in == "tensorflow-serving"
        assert await state_over_grpc(server.grpc_url) == "AVAILABLE"
        info = server.describe()
        assert info.stand_in
        assert "stand-in" in info.detail
        assert "stand-in" in server.log.read_text()
        served = tmp_path / "run" / "tf" / "weight-change" / "1"
        assert served.resolve() == (REPOSITORY / "weight-change" / "1" / "saved_model").resolve()
    finally:
        await server.stop()
    assert_gone(server.pid)


def executable(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


#: Reads a model_config_file and becomes the stand-in for it.
BINARY = f"""#!{sys.executable}
import os, re, sys
sys.path.insert(0, {str(ROOT)!r})
options = dict(argument.removeprefix("--").split("=", 1) for argument in sys.argv[1:])
text = open(options["model_config_file"]).read()
text = text.replace("/models/", os.environ.get("MOUNTED", "/models/"))
models = re.findall(r'name: "(.+?)" base_path: "(.+?)"', text)
from serving.standin.cli import main
ports = [f"--{{name}}={{options[name]}}" for name in ("rest_api_port", "port")]
main([*ports, *(f"--model={{name}}={{path}}" for name, path in models)])
"""

#: `docker image inspect` finds one image; `run` runs BINARY, deaf to SIGTERM as the original
#: image's first process is; `rm --force` ends it.
DOCKER = f"""#!{sys.executable}
import os, re, signal, subprocess, sys
here = os.path.dirname(os.path.abspath(__file__))
if sys.argv[1:3] == ["image", "inspect"]:
    sys.exit(0 if sys.argv[3] == "tensorflow/serving" else 1)
text = " ".join(sys.argv[1:])
if sys.argv[1] == "run":
    assert "--pull=never" in text and "--rm" in text
    port = re.search(r"--publish=127.0.0.1:(\\d+):8501", text)[1]
    grpc = re.search(r"--publish=127.0.0.1:(\\d+):8500", text)[1]
    mounted = re.search(r"--volume=(\\S+):/models:ro", text)[1]
    assert not any(os.path.islink(os.path.join(d, n)) for d, dd, _ in os.walk(mounted) for n in dd)
    config = os.path.join(mounted, "models.config")
    env = dict(os.environ, MOUNTED=mounted + "/")
    inside = subprocess.Popen(
        [os.path.join(here, "inside"), "--rest_api_port=" + port, "--port=" + grpc,
         "--model_config_file=" + config],
        env=env, start_new_session=True)
    name = re.search(r"--name=(\\S+)", text)[1]
    open(os.path.join(here, name), "w").write(str(inside.pid))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(inside.wait())
name = sys.argv[3]
os.kill(int(open(os.path.join(here, name)).read()), signal.SIGKILL)
"""


async def test_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path / "bin" / "tensorflow_model_server", BINARY)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    server = TFServing(tmp_path / "run", REPOSITORY, 0, grpc_port=0)
    await server.start()
    try:
        await server.wait_ready(60)
        assert len((await predict(server.url))[0]) == 2
        assert await state_over_grpc(server.grpc_url) == "AVAILABLE"
        info = server.describe()
        assert (info.stand_in, info.detail) == (False, "tensorflow_model_server")
    finally:
        await server.stop()
    assert_gone(server.pid)


async def test_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path / "bin" / "docker", DOCKER)
    executable(tmp_path / "bin" / "inside", BINARY)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    server = TFServing(tmp_path / "run", REPOSITORY, 0, grpc_port=0)
    await server.start()
    await server.wait_ready(60)
    inside = int(next((tmp_path / "bin").glob("gateway-tfserving-*")).read_text())
    assert len((await predict(server.url))[0]) == 2
    assert await state_over_grpc(server.grpc_url) == "AVAILABLE"
    info = server.describe()
    assert (info.stand_in, info.detail) == (False, "container tensorflow/serving")
    await server.stop()
    assert_gone(server.pid)
    assert_gone(inside)


def test_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    assert choose_engine() == "stand-in"
    executable(folder / "docker", DOCKER)
    assert choose_engine() == "container"
    assert choose_engine("another/image") == "stand-in"
    executable(folder / "tensorflow_model_server", BINARY)
    assert choose_engine() == "binary"


async def test_without_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    server = TFServing(tmp_path / "run", REPOSITORY, 0, "stand-in", grpc_port=0)
    with pytest.raises(LaunchError, match=re.escape("pip install '.[tfserving]'")):
        await server.start()


async def test_without_saved_models(tmp_path: Path, mixed_repository: Path) -> None:
    server = TFServing(tmp_path / "run", mixed_repository, 0, "stand-in", grpc_port=0)
    with pytest.raises(LaunchError, match="no SavedModel"):
        await server.start()
