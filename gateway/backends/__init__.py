"""The adapters, by the name a manifest and ``?backend=`` call them."""

from gateway.backends.base import Backend, Call, Health, Target, conform
from gateway.backends.memory import MemoryBackend
from gateway.backends.onnx import OnnxBackend
from gateway.backends.schemes import Adapter, ByScheme
from gateway.backends.tfserving import TFServingBackend
from gateway.backends.tfserving_grpc import TFServingGrpcBackend
from gateway.backends.torchserve import TorchServeBackend

#: Every adapter made from settings. A new adapter is one file and one entry here.
ADAPTERS: dict[str, Adapter] = {
    OnnxBackend.name: OnnxBackend,
    TFServingBackend.name: ByScheme(
        TFServingBackend.name,
        lambda settings: settings.tfserving_url,
        {"http": TFServingBackend, "https": TFServingBackend, "grpc": TFServingGrpcBackend},
    ),
    TorchServeBackend.name: TorchServeBackend,
}

__all__ = [
    "ADAPTERS",
    "Backend",
    "Call",
    "Health",
    "MemoryBackend",
    "OnnxBackend",
    "TFServingBackend",
    "TFServingGrpcBackend",
    "Target",
    "TorchServeBackend",
    "conform",
]
