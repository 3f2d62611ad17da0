"""Execution providers: those that are missing, left out, failing or idle are never silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest

from gateway.errors import ModelError
from gateway.models.session import CPU, Placement, open_session
from tests.conftest import linear_graph

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
Session = ort.InferenceSession


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return linear_graph(tmp_path / "g.onnx", [1.0, 2.0])


def plant(
    monkeypatch: pytest.MonkeyPatch, available: list[str], failing: str = "", dropped: str = ""
) -> list[list[str]]:
    """A build with these providers, of which some fail or are left out; what it is asked for."""
    asked: list[list[str]] = []

    def make(path: str, options: Any, providers: list[str], **more: Any) -> ort.InferenceSession:
        asked.append(list(providers))
        assert more == {"enable_fallback": 0}
        if failing in providers:
            raise RuntimeError(f"\n{path}: {failing} wants a device")
        session = Session(path, options, providers=[CPU])
        had = [name for name in providers if name != dropped]
        monkeypatch.setattr(session, "get_providers", lambda: had)
        return session

    monkeypatch.setattr(ort, "get_available_providers", lambda: available)
    monkeypatch.setattr(ort, "InferenceSession", make)
    return asked


def test_the_cpu_is_asked_for_without_a_word(graph: Path) -> None:
    session, placement = open_session(graph, 1)
    assert placement == Placement((CPU,), (CPU,), {}, ())
    assert session.get_session_options().intra_op_num_threads == 1


def test_a_provider_this_build_lacks(graph: Path) -> None:
    lacking = next(n for n in ort.get_all_providers() if n not in ort.get_available_providers())
    _, placement = open_session(graph, 1, [lacking])
    assert (placement.asked, placement.active) == ((lacking,), (CPU,))
    (words,) = placement.warnings
    assert words.startswith(f"{lacking} is not in this build of ONNX Runtime, which has ")


def test_a_provider_that_fails_is_left_out_and_the_next_one_asked(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = plant(monkeypatch, [TENSORRT, CUDA, CPU], failing=TENSORRT)
    _, placement = open_session(graph, 1, [TENSORRT, CUDA, CPU])
    assert asked == [[TENSORRT, CUDA, CPU], [CUDA, CPU]]
    assert placement.active == (CUDA, CPU)
    assert placement.warnings[0] == (f"{TENSORRT} is left out: g.onnx: {TENSORRT} wants a device")


@pytest.mark.parametrize("failing", [TENSORRT, CUDA])
def test_the_provider_that_an_error_names_is_left_out_and_no_other(
    graph: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    asked = plant(monkeypatch, [TENSORRT, CUDA, CPU], failing=failing)
    _, placement = open_session(graph, 1, [TENSORRT, CUDA, CPU])
    (left,) = {TENSORRT, CUDA} - {failing}
    assert asked == [[TENSORRT, CUDA, CPU], [left, CPU]]
    assert placement.active == (left, CPU)
    assert placement.warnings[0].startswith(f"{failing} is left out: ")


def test_a_provider_that_onnx_runtime_drops_by_itself(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, [CUDA, CPU], dropped=CUDA)
    _, placement = open_session(graph, 1, [CUDA, CPU])
    assert placement.active == (CPU,)
    (words,) = placement.warnings
    assert words.startswith(f"ONNX Runtime left {CUDA} out: ")


def test_what_is_missing_of_cuda_is_told(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, [CUDA, CPU], dropped=CUDA)
    monkeypatch.setattr(ort, "preload_dlls", lambda: print("\nFailed to load libcudart.so"))
    _, placement = open_session(graph, 1, [CUDA, CPU])
    assert placement.warnings == (f"ONNX Runtime left {CUDA} out: Failed to load libcudart.so",)


def test_a_provider_that_computes_nothing(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, [CUDA, CPU])
    _, placement = open_session(graph, 1, [CUDA])
    assert placement.nodes == {CPU: 1}
    assert placement.active == (CUDA, CPU)
    assert placement.warnings == (f"{CUDA}: computes no node of this graph; {CPU} computes 1",)


def test_what_stands_behind_the_cpu_may_be_idle(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = plant(monkeypatch, [CUDA, CPU])
    _, placement = open_session(graph, 1, [CPU, CUDA])
    assert asked == [[CPU, CUDA]]
    assert placement.warnings == ()


def test_a_file_no_provider_can_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, [CUDA, CPU])
    (tmp_path / "g.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match=r"^g\.onnx: ") as caught:
        open_session(tmp_path / "g.onnx", 1, [CUDA, CPU])
    assert str(tmp_path) not in caught.value.detail


@pytest.mark.skipif(
    "AzureExecutionProvider" not in ort.get_available_providers(), reason="not in this build"
)
def test_a_real_provider_that_leaves_all_nodes_to_the_cpu(graph: Path) -> None:
    azure = "AzureExecutionProvider"
    _, placement = open_session(graph, 1, [azure, CPU])
    assert placement.active == (azure, CPU)
    assert placement.nodes == {CPU: 1}
    assert placement.as_dict()["warnings"] == [
        f"{azure}: computes no node of this graph; {CPU} computes 1"
    ]
