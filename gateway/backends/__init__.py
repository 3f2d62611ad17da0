"""The adapters, by the name a manifest and ``?backend=`` call them."""

from gateway.backends.base import Backend, Call, Health, Target, conform
from gateway.backends.installed import installed
from gateway.backends.memory import MemoryBackend
from gateway.backends.onnx import OnnxBackend
from gateway.backends.schemes import Adapter, ByScheme
from gateway.backends.tfserving import TFServingBackend
from gateway.backends.tfserving_grpc import TFServingGrpcBackend
from gateway.backends.torchserve import TorchServeBackend

#: Every adapter made from settings: those that other packages bring, and our own, whose names no
#: other can take. A new one here is one file and one entry.
ADAPTERS: dict[str, Adapter] = installed() | {
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
