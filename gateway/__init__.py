"""One door in front of TensorFlow Serving, TorchServe and ONNX Runtime.

A client sends one descriptive payload to ``POST /v1/predict``; the gateway validates it against
the model's manifest, has it answered by the backend that was asked for, and says how long each
step took.
"""

__version__ = "0.1.0"
