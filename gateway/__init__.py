"""One door in front of TensorFlow Serving, TorchServe and ONNX Runtime.

A client sends one descriptive payload to ``POST /v1/predict``; the gateway validates it against
the model's manifest, has it answered by the backend that was asked for, and says how long each
step took.
"""

import os

# ONNX Runtime's wheels report their use to Microsoft unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
