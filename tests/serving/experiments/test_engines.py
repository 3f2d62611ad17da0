"""The engines for real, in small; one run of the whole experiment as people start it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import torch

from serving.experiments import engines
from serving.experiments.contestants import (
    Engine,
    OnnxRuntime,
    TensorFlow,
    TorchCompiled,
    TorchEager,
)
from serving.experiments.errors import ExperimentError, NotMeasured
from serving.experiments.nets import Network, make_network
from serving.experiments.plan import Plan
from tests.conftest import ROOT

PLAN = Plan(batches=[3], rounds=2, slice_s=0.002)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return make_network(34, 1, tmp_path_factory.mktemp("net"))


def test_networks_have_the_examples_proportions_and_depend_on_the_seed(net: Network) -> None:
    assert [weights.shape for weights, _ in net.layers] == [(34, 30), (30, 14), (14, 1)]
    features = np.random.default_rng(1).normal(size=(5, 34)).astype(np.float32)
    with torch.inference_mode():
        eager = net.torch(torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(eager, net.answer(features), atol=1e-6)
    assert np.std(net.answer(features)) > 0.01


def test_engines_agree_and_are_compared_with_the_first(net: Network) -> None:
    entered: list[Engine] = [OnnxRuntime(1), TorchEager(), TensorFlow()]
    for engine in entered:
        engine.load(net)
    cells = engines.measure(PLAN, net, 3, entered)
    assert [cell.engine for cell in cells] == [engine.name for engine in entered]
    for cell in cells:
        assert cell.difference is not None
        assert cell.difference < engines.TOLERANCE
        assert cell.call_us is not None
        assert cell.call_us.median > 0
        assert cell.first_s is not None
        assert cell.reason == ""
    assert cells[0].ratio is not None
    assert (cells[0].ratio.low, cells[0].ratio.high) == (1.0, 1.0)


def test_other_weights_stop_the_experiment_before_anything_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = make_network(17, 1, tmp_path)
    with torch.no_grad():
        next(net.torch.parameters()).add_(1e-2)
    monkeypatch.setattr(engines, "alternate", lambda *_: pytest.fail("timed all the same"))
    entered: list[Engine] = [OnnxRuntime(1), TorchEager()]
    for engine in entered:
        engine.load(net)
    with pytest.raises(ExperimentError, match=r"17 inputs, 3 rows: PyTorch, eager: differs .* by"):
        engines.measure(PLAN, net, 3, entered)


def test_a_compiler_that_is_switched_off_is_no_compiled_network(
    net: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As under TORCH_COMPILE_DISABLE=1: what torch.compile gives back runs uncompiled.
    monkeypatch.setattr(torch, "compile", lambda net, **_: net)
    entered: list[Engine] = [OnnxRuntime(1), TorchCompiled()]
    for engine in entered:
        engine.load(net)
    cell = engines.measure(PLAN, net, 3, entered)[1]
    assert cell.call_us is None
    assert cell.ratio is None
    assert "compiled nothing" in cell.reason


def test_a_missing_compiler_is_named_in_every_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", (None, "no-such-compiler"))
    with pytest.raises(NotMeasured, match=r"torch.compile failed: .*C\+\+ compiler"):
        TorchCompiled().prepare()
    found = engines.run(PLAN, [17], [OnnxRuntime(1), TorchCompiled()], tmp_path, lambda _: None)
    told = {cell.engine: cell.reason for cell in found.cells}
    assert told["ONNX Runtime"] == ""
    assert "C++ compiler" in told["PyTorch, compiled"]
    assert str(Path(torch.__file__).parent) not in told["PyTorch, compiled"]


def test_the_whole_experiment_writes_table_figures_and_plot(tmp_path: Path) -> None:
    arguments = ["engines", "--quick", "--rows", "1,8", "--out", "out"]
    told = subprocess.run(
        [sys.executable, "-m", "serving", "experiment", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    found = json.loads((tmp_path / "out" / "engines.json").read_text())
    assert found["engines"] == ["ONNX Runtime", "PyTorch, eager", "PyTorch, compiled", "TensorFlow"]
    assert [(cell["inputs"], cell["batch"]) for cell in found["cells"]] == [(17, 1)] * 4 + [
        (17, 8)
    ] * 4
    for cell in found["cells"]:
        # torch.compile may lack a C++ compiler here; then it says so.
        assert (cell["call_us"] is None) == bool(cell["reason"])
        assert cell["call_us"] is not None or cell["engine"] == "PyTorch, compiled"
    assert "not TensorFlow Serving" in " ".join(told.stdout.split())
    assert " TensorFlow |\n" in (tmp_path / "out" / "engines.md").read_text()
    svg = ET.parse(tmp_path / "out" / "engines.svg").getroot()
    assert svg.tag.endswith("svg")
