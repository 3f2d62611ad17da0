"""Where the model and the cores are found, and what is started and stopped."""

from __future__ import annotations

import os
from pathlib import Path

import aiohttp
import pytest

from loadtests.compare import stage
from loadtests.compare.errors import CompareError
from loadtests.compare.stage import find_model, started, two_cores
from serving.launch.process import get_json
from tests.conftest import MIXED, REPOSITORY, write_model


def test_the_model_in_a_repository(tmp_path: Path) -> None:
    found = find_model(REPOSITORY, None)
    assert (found.name, found.version) == ("weight-change", "1")
    assert find_model(REPOSITORY, "weight-change", "1").folder == found.folder
    for name in ("one", "two"):
        write_model(tmp_path / name, MIXED | {"name": name})
    assert find_model(tmp_path, "two").name == "two"


@pytest.mark.parametrize(
    ("model", "version", "words"),
    [("resnet", None, "'resnet'"), (None, "7", "'7'"), ("weight-change", "7", "'7'")],
)
def test_one_that_is_not_there(model: str | None, version: str | None, words: str) -> None:
    with pytest.raises(CompareError, match=words) as error:
        find_model(REPOSITORY, model, version)
    assert str(error.value).startswith(f"{REPOSITORY}: ")
    assert "\n" not in str(error.value)


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(CompareError, match=f"^{tmp_path / 'nowhere'}: "):
        find_model(tmp_path / "nowhere", None)


def test_two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 3, 9}, raising=False)
    assert two_cores() == (3, 5)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert two_cores() is None
    monkeypatch.delattr(os, "sched_getaffinity")
    assert two_cores() is None


async def test_a_gateway_for_one_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DRAIN_GRACE_S", "0")
    # Its port is its own, whatever the environment says.
    monkeypatch.setenv("PORT", "1")
    cores = two_cores()
    async with started(REPOSITORY, ["onnx"], cores and cores[0]) as url:
        status, _ = await get_json(f"{url}/readyz")
        assert status == 200
        if cores is not None:
            # Only what was started is pinned.
            assert set(cores) <= os.sched_getaffinity(0)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url)


async def test_a_server_that_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def without_archives(run_dir: Path, repository: Path) -> object:
        made.append(run_dir)
        return stage._torchserve(run_dir, tmp_path)

    write_model(tmp_path / "mixed")
    monkeypatch.setattr(stage, "_SERVERS", {"torchserve": without_archives})
    with pytest.raises(CompareError, match="no TorchServe archive"):
        async with started(REPOSITORY, ["onnx", "torchserve"]):
            pytest.fail("it was started")
    (run_dir,) = made
    assert not run_dir.exists()
