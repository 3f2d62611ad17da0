"""Export of a PyTorch network to ONNX."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Mapping, Sequence
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
    return export(net, {source: example}, [target], [{0: BATCH}])


def export(
    net: torch.nn.Module,
    examples: Mapping[str, torch.Tensor],
    outputs: Sequence[str],
    dynamic: Sequence[Mapping[int, str]],
) -> onnx.ModelProto:
    """The network as a graph from `examples`, its arguments in order, to `outputs`.

    `dynamic` names, per argument, the dimensions that vary. Raises what the dynamo exporter raises.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        # The exporter reports that torchvision is absent, and warns of its own deprecations.
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            torch.onnx.export(
                net,
                tuple(examples.values()),
                str(path),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(examples),
                output_names=list(outputs),
                dynamic_shapes=tuple(dict(dims) for dims in dynamic),
                external_data=False,
                verbose=False,
            )
        return clean(onnx.load(str(path)), "pytorch")
