"""Starts the model servers and the gateway on this machine, and stops them without a trace.

``process.py`` is what they have in common; ``torchserve.py``, ``tfserving.py`` and ``gateway.py``
are the three; ``supervisor.py`` runs several at once for ``gateway up``.
"""

from serving.launch.errors import LaunchError
from serving.launch.gateway import Gateway
from serving.launch.process import Server, ServerInfo
from serving.launch.supervisor import Supervisor
from serving.launch.tfserving import TFServing
from serving.launch.torchserve import TorchServe

__all__ = [
    "Gateway",
    "LaunchError",
    "Server",
    "ServerInfo",
    "Supervisor",
    "TFServing",
    "TorchServe",
]
