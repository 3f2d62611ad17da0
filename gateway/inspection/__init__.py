"""What there is to see of an ONNX file: its interface, its structure, and where it belongs."""
