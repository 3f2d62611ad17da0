"""Writing of an exported graph."""

from __future__ import annotations

from pathlib import Path

import onnx

from serving.importing.errors import refusing


def save_graph(model: onnx.ModelProto, path: Path) -> None:
    """Check the graph and write it as one file; raises ImportRefused.

    Types and shapes are ONNX Runtime's to check when it loads the file: onnx itself cannot infer
    those of most operators that scikit-learn's models are made of.
    """
    with refusing("the exported graph is not valid"):
        onnx.checker.check_model(model)
        onnx.save(model, str(path))
