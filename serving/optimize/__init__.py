"""``gateway optimize``: a graph against what ONNX Runtime can make of it before it is served."""
