"""Export of a PyTorch network to ONNX."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path

import onnx
import torch

from serving.export.onnx_file import BATCH, OPSET, clean


def torch_to_onnx(net: torch.nn.Module, width: int, source: str, target: str) -> onnx.ModelProto:
    """The network as a graph from `source`, float32 (batch, width), to `target`.

    Uses the dynamo exporter; the network must be in evaluation mode.
    """
    # Two rows: an example batch of one would be taken for a constant.
    example = torch.zeros((2, width), dtype=torch.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        # The exporter reports that torchvision is absent, and warns of its own deprecations.
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            torch.onnx.export(
                net,
                (example,),
                str(path),
                dynamo=True,
                opset_version=OPSET,
                input_names=[source],
                output_names=[target],
                dynamic_shapes=({0: BATCH},),
                external_data=False,
                verbose=False,
            )
        return clean(onnx.load(str(path)), "pytorch")
