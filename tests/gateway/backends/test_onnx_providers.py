"""The execution providers of the backend onnx: asked for, told of, replaced where they fail."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest

from gateway.backends import Call, OnnxBackend, Target
from gateway.config import Settings, load
from gateway.errors import ConfigError, ModelError
from gateway.models.repository import Repository
from gateway.models.session import CPU
from tests.conftest import MakeClient

CUDA = "CUDAExecutionProvider"
LACKING = next(n for n in ort.get_all_providers() if n not in ort.get_available_providers())
PAYLOAD = {"count": 2, "size": 0.5, "big": True, "name": "b"}


class Failing:
    """A session that has CUDA, and fails when it runs."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        if name == "_sess":
            raise AttributeError(name)
        return getattr(self._session, name)

    def get_providers(self) -> list[str]:
        return [CUDA, CPU]

    def run(self, *_: object) -> None:
        raise RuntimeError("out of memory")


@pytest.fixture
def target(mixed_repository: Path) -> Target:
    version = Repository.scan(mixed_repository).get()
    return Target("onnx", version, "pytorch", {"artifact": "mixed.onnx"})


@pytest.mark.parametrize(
    ("given", "providers"),
    [
        ("", (CPU,)),
        (CPU, (CPU,)),
        (f" {CUDA}, {CPU},{CUDA} ,", (CUDA, CPU)),
    ],
)
def test_the_setting_lists_names(given: str, providers: tuple[str, ...]) -> None:
    assert Settings(onnx_providers=given).providers == providers
    assert load(environ={"GATEWAY_ONNX_PROVIDERS": given}).providers == providers


def test_a_name_that_onnx_runtime_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"onnx_providers: there is no 'CUDA'; allowed: .*CPU"):
        OnnxBackend.from_settings(Settings(onnx_providers="CUDA,CPUExecutionProvider"))


async def test_a_provider_that_is_missing_is_told_everywhere(
    make_client: MakeClient, mixed_repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = await make_client(mixed_repository, onnx_providers=LACKING)
    (entry,) = (await (await client.get("/v1/backends")).json())["backends"]
    (model,) = entry["models"]
    assert entry["state"] == "ready"
    words = model["detail"]
    assert words.startswith(f"{LACKING} is not in this build of ONNX Runtime")
    assert model["providers"] == {
        "asked": [LACKING],
        "active": [CPU],
        "nodes": {},
        "warnings": [words],
    }
    (record,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert record.getMessage() == f"onnx_providers: mixed/1, pytorch: {words}"
    response = await client.post("/v1/predict", json=PAYLOAD)
    assert (await response.json())["predictions"] == [{"total": 102.5, "named": "b"}]


async def test_a_provider_that_fails_at_the_first_run_is_replaced_by_the_cpu(
    target: Target, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = ort.InferenceSession

    def make(path: str, options: Any, providers: list[str], **_: Any) -> Any:
        session = real(path, options, providers=[CPU])
        return Failing(session) if CUDA in providers else session

    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "InferenceSession", make)
    backend = OnnxBackend.from_settings(Settings(onnx_threads=1, onnx_providers=CUDA))
    await backend.load(target)
    health = await backend.check(target, Call.within(1))
    assert health.ready
    assert "left to the CPU" in health.detail
    assert "out of memory" in health.detail
    assert backend.facts(target)["providers"]["active"] == [CPU]
    assert backend.facts(target)["providers"]["asked"] == [CUDA]
    assert "out of memory" in caplog.text
    outputs = await backend.predict(
        target, target.model.validator.convert([PAYLOAD]), Call.within(1)
    )
    assert outputs["total"].tolist() == [102.5]


async def test_a_model_no_provider_can_run_is_refused_as_ever(
    target: Target, mixed_repository: Path
) -> None:
    (mixed_repository / "mixed" / "1" / "mixed.onnx").write_bytes(b"no graph")
    backend = OnnxBackend(providers=(LACKING, CPU))
    with pytest.raises(ModelError, match=r"^mixed\.onnx: "):
        await backend.load(target)
    assert backend.facts(target) == {}
    assert (await backend.check(target, Call.within(1))).detail == "not loaded"
