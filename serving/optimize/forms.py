"""The forms of a graph: the file itself, ONNX Runtime's optimization levels, int8 weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnxruntime.quantization import quantize_dynamic

from serving.experiments.errors import NotMeasured
from serving.experiments.levels import level_names
from serving.experiments.sessions import make_session, operators

ORIGINAL = "original"
INT8 = "int8"
#: Levels that can be written to a file and are fit for any processor, but for ``all``.
LEVELS = ("basic", "extended", "all")
FORMS = (*LEVELS, INT8)


def make_form(name: str, source: Path, target: Path) -> None:
    """Write the form ``name`` of ``source`` to ``target``.

    Raises:
        NotMeasured: there is no such form of this graph; the message says why.
    """
    if name == INT8:
        _quantize(source, target)
    else:
        make_session(source, level=level_names()[name], write_to=target)


def _quantize(source: Path, target: Path) -> None:
    """Weights of matrix products, convolutions, … as int8; activations as they come (dynamic)."""
    try:
        with _quiet():
            # As a path it would get a file of its own beside it, in the folder that is served.
            quantize_dynamic(onnx.load(str(source)), target)
    except Exception as error:  # it raises whatever comes, on graphs it was not made for
        words = str(error).strip().replace(str(source), source.name).splitlines()
        reason = words[0] if words else type(error).__name__
        raise NotMeasured(f"cannot be quantized: {reason}") from error
    new = operators(target).keys() - operators(source).keys()
    if not any("Integer" in name or "Quantize" in name or name.startswith("Q") for name in new):
        raise NotMeasured("nothing to quantize: no weights of matrix products or convolutions")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep advice to those who write quantization scripts from those who do not."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
