from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

from loadtests.bench.resnet import INPUT, OUTPUT, SHAPE, write_resnet


def test_it_has_the_size_of_resnet_18(tmp_path: Path) -> None:
    path = tmp_path / "resnet18.onnx"
    write_resnet(path)
    model = onnx.load(path)
    weights = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    # 11,689,512 parameters, of which batch normalization has 9,600; folded, it leaves 4,800 biases.
    assert sum(weight.size for weight in weights if weight.size > 1) == 11_689_512 - 4_800
    assert sum(node.op_type == "Conv" for node in model.graph.node) == 20

    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(1).integers(0, 256, (2, *SHAPE), dtype=np.uint8)
    (scores,) = session.run([OUTPUT], {INPUT: images})
    assert scores.shape == (2, 1000)
    assert np.isfinite(scores).all()
    assert 0.1 < np.abs(scores).max() < 100
    assert np.abs(scores[0] - scores[1]).max() > 1e-3  # so that mixed-up rows are found out
