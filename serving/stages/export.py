"""Stage ``export``: from weights to graphs and a SavedModel."""

from __future__ import annotations

from serving import layout
from serving.example import Report
from serving.export import keras_files
from serving.export.fuse import fuse
from serving.export.onnx_file import save
from serving.export.preprocess import transformer_to_onnx
from serving.export.torch_onnx import torch_to_onnx
from serving.stages.work import TRAINING, Work, emptied


def export(work: Work, report: Report) -> None:
    """Export both networks, each merged with the preprocessing; raises OSError without weights."""
    manifest = work.manifest()
    source, target = layout.TENSOR, manifest.outputs[0].name
    transformer, features = work.fitted(work.rows(TRAINING))
    width = features.shape[1]
    torch_net, keras_net = work.pytorch_net(), work.tensorflow_net()
    folder = emptied(work.export)
    preprocess = transformer_to_onnx(transformer, manifest.features, width, source)
    save(preprocess, folder / layout.PREPROCESS)
    net = torch_to_onnx(torch_net, width, source, target)
    save(fuse(preprocess, net, "pytorch"), folder / layout.PYTORCH)
    report(0.7)
    net = keras_files.keras_to_onnx(keras_net, source, target)
    save(fuse(preprocess, net, "tensorflow"), folder / layout.TENSORFLOW)
    keras_files.keras_to_saved_model(keras_net, folder / layout.SAVED_MODEL, source, target)
