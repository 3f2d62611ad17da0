"""Which kind of model the user means, and loading it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serving import layout
from serving.build import quiet_imports
from serving.importing.errors import ImportRefused
from serving.importing.front import preprocessed
from serving.importing.objects import PICKLES, find, unpickle
from serving.importing.onnx_model import OnnxModel
from serving.importing.original import Original
from serving.importing.request import Request
from serving.importing.sample import Sample

_KERAS = (".keras", ".h5", ".hdf5")
_WEIGHTS = (".pt", ".pth", ".ckpt", ".safetensors", ".bin")
_KNOWN = (
    "a .joblib, .pkl or .skops file, a .keras or .h5 file, a SavedModel folder, an .onnx file, or"
    " module:object"
)


def load(request: Request, sample: Sample | None) -> Original:
    """The model the request names, with its preprocessing before it; raises ImportRefused."""
    original = _load(request, sample)
    return original if request.preprocess is None else preprocessed(original, request.preprocess)


def _load(request: Request, sample: Sample | None) -> Original:
    source = request.source
    if source is None:
        if request.module is None:
            raise ImportRefused(f"say what to import: {_KNOWN}, or --module with --weights")
        _only(request, "a PyTorch network", "--module", "--weights", "--checkpoint", "--input")
        return _torch(request, sample)
    path = Path(source)
    if not path.exists() and (":" not in source or path.suffix in (".onnx", *_KERAS)):
        raise ImportRefused(f"{source}: there is no such file")
    if path.suffix == ".onnx":
        _only(request, "an ONNX graph")
        return OnnxModel.load(path, request.outputs)
    if path.suffix in _KERAS or (path / "saved_model.pb").is_file():
        return _tensorflow(request, path)
    if path.suffix in (*PICKLES, ".skops"):
        _only(request, "a Python object", "--input")
        return _object(unpickle(path, request.trust), (path,), request, sample)
    if path.suffix in _WEIGHTS:
        raise ImportRefused(
            f"{source} holds weights, not the network: python -m serving import --module"
            f" package.module:Network --weights {source}"
        )
    if ":" in source:
        _only(request, "a Python object", "--input")
        return _object(find(source), (), request, sample)
    raise ImportRefused(f"{source} is not known here; import {_KNOWN}")


def _only(request: Request, what: str, *known: str) -> None:
    """Refuse options that say how to make another kind of model than the source is."""
    given = {
        "--module": request.module,
        "--weights": request.weights,
        "--checkpoint": request.checkpoint,
        "--input": request.inputs,
        "--signature": request.signature,
    }
    for option, value in given.items():
        if value and option not in known:
            raise ImportRefused(f"{option}: {what} has no use for it; leave it out")
    if request.weights is not None and request.checkpoint is not None:
        raise ImportRefused("--weights and --checkpoint: both hold the weights; say one of them")


def _torch(request: Request, sample: Sample | None) -> Original:
    from serving.importing.torch_files import load_lightning, load_net

    assert request.module is not None
    if request.checkpoint is not None:
        net = load_lightning(request.module, request.checkpoint, request.trust)
        return _network(net, (request.checkpoint,), request, sample, "Lightning module")
    net = load_net(request.module, request.weights)
    files = () if request.weights is None else (request.weights,)
    return _network(net, files, request, sample, "PyTorch network")


def _network(
    net: Any, files: tuple[Path, ...], request: Request, sample: Sample | None, kind: str
) -> Original:
    from serving.importing.torch_model import TorchModel, torch_inputs

    before = None if request.preprocess else sample
    if request.preprocess is not None and not request.inputs:
        tensor = OnnxModel.load(request.preprocess, ()).outputs_as_inputs()
        return TorchModel.of(net, files, tensor, request.outputs, kind)
    inputs = torch_inputs(net, request.inputs, before, request.targets)
    return TorchModel.of(net, files, inputs, request.outputs, kind)


def _tensorflow(request: Request, path: Path) -> Original:
    with quiet_imports():
        from serving.importing.keras_model import TensorFlowModel

    if path.is_dir():
        _only(request, "a SavedModel", "--signature")
        signature = request.signature or layout.SIGNATURE
        return TensorFlowModel.saved_model(path, signature, request.outputs)
    _only(request, "a Keras file", "--module", "--input")
    return TensorFlowModel.keras(
        path, request.module, request.inputs, request.outputs, request.trust
    )


def _object(
    found: Any, files: tuple[Path, ...], request: Request, sample: Sample | None
) -> Original:
    """A Python object: an estimator, or a network and how to make it."""
    frameworks = {base.__module__.partition(".")[0] for base in type(found).__mro__}
    if "torch" in frameworks:
        return _network(found.eval(), files, request, sample, "PyTorch network")
    if isinstance(found, type) or "keras" in frameworks:
        raise ImportRefused(
            "networks are imported by --module with --weights or --checkpoint, Keras models from"
            " their .keras file"
        )
    _only(request, "a scikit-learn estimator")
    from serving.importing.sklearn_model import SklearnModel, Wanted

    wanted = Wanted(request.outputs, request.targets)
    return SklearnModel.of(found, files, sample, wanted)
