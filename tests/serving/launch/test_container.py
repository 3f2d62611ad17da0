"""The container path with a real Docker engine, and a small image in TensorFlow Serving's place.

The image's first process is a shell, deaf to SIGTERM, as in ``tensorflow/serving``; it reads the
same ``--model_config_file`` and answers the status call on port 8501.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException, ImageNotFound

from serving.launch import TFServing
from serving.launch.process import get_json
from serving.launch.tfserving import choose_engine
from tests.conftest import REPOSITORY
from tests.serving.launch.conftest import assert_gone

BASE = "python:3.11-slim-bookworm"
IMAGE = "gateway-test/tfserving-double"

DOCKERFILE = f"""
FROM {BASE}
COPY server.py /server.py
ENTRYPOINT ["/bin/sh", "-c", "python3 /server.py \\"$@\\"; exit $?", "entrypoint"]
"""

SERVER = """
import http.server, json, os, re, sys

config = open(sys.argv[1].removeprefix("--model_config_file=")).read()
bases = dict(re.findall(r'name: "(.+?)" base_path: "(.+?)"', config))

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        base = bases[self.path.removeprefix("/v1/models/")]
        there = [v for v in os.listdir(base) if os.path.isfile(f"{base}/{v}/saved_model.pb")]
        states = [{"version": version, "state": "AVAILABLE"} for version in there]
        body = json.dumps({"model_version_status": states}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.HTTPServer(("0.0.0.0", 8501), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def image() -> Iterator[Any]:
    """The engine, which has the image; it is removed at the end."""
    try:
        engine = docker.from_env()
        engine.images.get(BASE)
    except ImageNotFound:
        pytest.skip(f"the Docker engine has no image {BASE}")
    except DockerException:
        pytest.skip("no Docker engine answers")
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, text in (("Dockerfile", DOCKERFILE), ("server.py", SERVER)):
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    engine.images.build(fileobj=io.BytesIO(context.getvalue()), custom_context=True, tag=IMAGE)
    yield engine
    engine.images.remove(IMAGE, force=True)
    engine.close()


async def test_life(tmp_path: Path, image: Any) -> None:
    if choose_engine(IMAGE) != "container":
        pytest.skip("the docker command is not installed, or TensorFlow Serving itself is")
    server = TFServing(tmp_path / "run", REPOSITORY, 0, image=IMAGE, grpc_port=0)
    await server.start()
    try:
        await server.wait_ready(60)
        _, status = await get_json(f"{server.url}/v1/models/weight-change")
        assert status["model_version_status"] == [{"version": "1", "state": "AVAILABLE"}]
        info = server.describe()
        assert (info.stand_in, info.detail) == (False, f"container {IMAGE}")
        (container,) = image.containers.list(filters={"ancestor": IMAGE})
        published = container.attrs["NetworkSettings"]["Ports"]["8501/tcp"]
        assert [one["HostIp"] for one in published] == ["127.0.0.1"]
    finally:
        await server.stop()
    assert_gone(server.pid)
    assert image.containers.list(all=True, filters={"ancestor": IMAGE}) == []


async def test_killed(tmp_path: Path, image: Any) -> None:
    server = TFServing(tmp_path / "run", REPOSITORY, 0, "container", IMAGE, 0)
    await server.start()
    await server.wait_ready(60)
    server.kill()
    await server.wait_ended()
    assert image.containers.list(all=True, filters={"ancestor": IMAGE}) == []
    await server.stop()
    assert_gone(server.pid)
