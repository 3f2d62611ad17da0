from __future__ import annotations

import textwrap
from pathlib import Path

import psutil
import pytest

from gateway.backends.base import Target
from gateway.errors import BackendUnavailable
from gateway.models.repository import ModelVersion
from loadtests.compare.cost.cold import first_prediction
from loadtests.compare.cost.starters import Starter
from serving.launch.process import get_json
from tests.serving.launch.conftest import ANSWERS, Small


class Getter:
    """Asks a small server, which predicts nothing, whether it answers."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.closed = False

    async def load(self) -> None:
        return None

    async def ask(self, seconds: float) -> None:
        if (await get_json(self._url, seconds))[0] != 200:
            raise BackendUnavailable("small", "nobody answers")

    async def stand_in(self) -> str | None:
        return "small-double"

    async def close(self) -> None:
        self.closed = True


class Smalls:
    """Starts small servers with a script, and remembers them."""

    def __init__(self, script: str) -> None:
        self.script = textwrap.dedent(script)
        self.made: list[tuple[Small, Getter]] = []

    def make(self, folder: Path, target: Target) -> tuple[Small, Getter]:
        server = Small(folder, self.script)
        self.made.append((server, Getter(server.url)))
        return self.made[-1]

    @property
    def starters(self) -> dict[str, Starter]:
        return {"small": Starter("onnx", self.make)}


async def test_the_time_of_the_start_is_what_is_measured(version: ModelVersion) -> None:
    small = Smalls("import time; time.sleep(0.5)\n" + textwrap.dedent(ANSWERS))
    figure = await first_prediction("small", version, 2, starters=small.starters)
    assert figure.id == "cost.small.first_prediction"
    assert figure.low is not None
    assert figure.value is not None
    assert figure.high is not None
    assert 0.5 < figure.low <= figure.value <= figure.high < 5
    assert (figure.remark, figure.stand_in) == ("lowest–highest of 2 starts", "small-double")
    assert len(small.made) == 2
    for server, asker in small.made:
        assert asker.closed
        assert server.pid is not None
        assert not psutil.pid_exists(server.pid)
        assert not server.run_dir.exists()


async def test_a_server_that_ends_has_no_figure(version: ModelVersion) -> None:
    small = Smalls("raise SystemExit(3)")
    figure = await first_prediction("small", version, 2, starters=small.starters)
    assert (figure.value, figure.low, figure.high) == (None, None, None)
    assert figure.remark == "small ended with code 3 before its first prediction"


async def test_a_server_that_never_answers_has_no_figure(version: ModelVersion) -> None:
    small = Smalls("import time; time.sleep(60)")
    figure = await first_prediction("small", version, 1, 0.3, small.starters)
    assert figure.value is None
    assert figure.remark == "small gave no prediction within 0.3 s: small: nobody answers"
    assert not small.made[0][0].running


async def test_who_cannot_be_started(version: ModelVersion) -> None:
    figure = await first_prediction("triton", version)
    assert (figure.value, figure.remark) == (None, "not applicable: nothing here starts a triton")
    elsewhere = {"small": Starter("triton", Smalls("").make)}
    figure = await first_prediction("small", version, starters=elsewhere)
    assert figure.remark == "not applicable: weight-change is not served by triton"


async def test_the_gateway(
    version: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Neither settings of this machine nor of the current folder reach it.
    monkeypatch.setenv("GATEWAY_API_KEYS_FILE", str(tmp_path / "missing.yaml"))
    (tmp_path / "gateway.yaml").write_text("tls_certificate: missing.pem\n")
    monkeypatch.chdir(tmp_path)
    figure = await first_prediction("gateway", version, 1)
    assert figure.remark == "lowest–highest of 1 starts"
    assert figure.value is not None
    assert 0.1 < figure.value < 30
    assert figure.stand_in is None


async def test_the_stand_in_is_named(version: ModelVersion) -> None:
    figure = await first_prediction("tfserving", version, 1)
    assert figure.value is not None
    assert figure.stand_in == "tensorflow-serving"


@pytest.mark.java
async def test_torchserve(version: ModelVersion) -> None:
    figure = await first_prediction("torchserve", version, 1)
    assert figure.value is not None
    assert 0.5 < figure.value < 90
    assert figure.stand_in is None
