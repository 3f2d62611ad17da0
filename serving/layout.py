"""File names inside a model's version folder, and the manifest's references to them."""

from __future__ import annotations

from gateway.models.manifest import BackendSpec

VERSION = "1"
PREPROCESS = "preprocess.onnx"
PYTORCH = "pytorch.onnx"
TENSORFLOW = "tensorflow.onnx"
SAVED_MODEL = "saved_model"
CARD = "card.json"

#: Name of the preprocessed tensor: output of the preprocessing, input of both networks.
TENSOR = "features"
SIGNATURE = "serving_default"


def archive_name(model: str) -> str:
    """File name of a model's TorchServe archive."""
    return f"{model}.mar"


def backends(model: str) -> dict[str, BackendSpec]:
    """Backend section of the manifest of a model with this layout."""
    return {
        "onnx": BackendSpec(
            {"pytorch": {"artifact": PYTORCH}, "tensorflow": {"artifact": TENSORFLOW}}
        ),
        "torchserve": BackendSpec({"pytorch": {"model": model}}),
        "tfserving": BackendSpec(
            {
                "tensorflow": {
                    "model": model,
                    "signature": SIGNATURE,
                    "input": TENSOR,
                    "preprocess": PREPROCESS,
                }
            }
        ),
    }
