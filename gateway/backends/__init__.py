"""The adapters, by the name a manifest and ``?backend=`` call them."""

from gateway.backends.base import Backend, Call, Health, Target, conform
from gateway.backends.memory import MemoryBackend
from gateway.backends.onnx import OnnxBackend
from gateway.backends.tfserving import TFServingBackend
from gateway.backends.torchserve import TorchServeBackend

#: Every adapter made from settings. A new adapter is one file and one entry here.
ADAPTERS: dict[str, type[Backend]] = {
    adapter.name: adapter for adapter in (OnnxBackend, TFServingBackend, TorchServeBackend)
}

__all__ = [
    "ADAPTERS",
    "Backend",
    "Call",
    "Health",
    "MemoryBackend",
    "OnnxBackend",
    "TFServingBackend",
    "Target",
    "TorchServeBackend",
    "conform",
]
