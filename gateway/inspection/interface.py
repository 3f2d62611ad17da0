"""What ONNX Runtime itself says of a file: inputs, outputs, metadata."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import onnxruntime as ort

from gateway.models.declared import without_shape
from gateway.models.session import open_session

#: What ONNX Runtime says of a file that has no version.
_NO_VERSION = 2**63 - 1


class Value(msgspec.Struct, frozen=True):
    """An input or output; ``shape`` holds numbers, names of variable dimensions, or None.

    ``shape`` itself is None where neither the file nor ONNX Runtime says how many dimensions.
    """

    name: str
    type: str
    shape: tuple[int | str | None, ...] | None

    @property
    def shape_text(self) -> str:
        """``batch × 3``; ``scalar`` where there are no dimensions."""
        if self.shape is None:
            return "not declared"
        sizes = ("?" if size is None else str(size) for size in self.shape)
        return " × ".join(sizes) or "scalar"


class Interface(msgspec.Struct, frozen=True, kw_only=True):
    """The graph as ONNX Runtime has loaded it, in ``load_ms`` with all its optimizations.

    ``version`` is None where the file has none.
    """

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    producer: str
    graph: str
    domain: str
    version: int | None
    description: str
    metadata: dict[str, str]
    load_ms: float


def read_interface(path: Path) -> Interface:
    """Load ``path``; raises :class:`ModelError` with ONNX Runtime's words where it cannot."""
    started = time.perf_counter()
    session, _ = open_session(path, 1, quiet=True)
    taken = time.perf_counter() - started
    meta = session.get_modelmeta()
    unknown = without_shape(path)
    return Interface(
        inputs=_values(session.get_inputs(), unknown),
        outputs=_values(session.get_outputs(), unknown),
        producer=meta.producer_name,
        graph=meta.graph_name,
        domain=meta.domain,
        version=None if meta.version == _NO_VERSION else meta.version,
        description="\n".join(filter(None, (meta.description, meta.graph_description))),
        metadata=dict(meta.custom_metadata_map),
        load_ms=round(taken * 1e3, 3),
    )


def _values(nodes: list[ort.NodeArg], unknown: frozenset[str]) -> tuple[Value, ...]:
    return tuple(
        Value(
            node.name,
            node.type,
            None if node.name in unknown and not node.shape else _sizes(node.shape),
        )
        for node in nodes
    )


def _sizes(shape: list[object]) -> tuple[int | str | None, ...]:
    return tuple(size if isinstance(size, int | str) else None for size in shape)
