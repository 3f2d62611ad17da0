"""All there is to say of one file: what ONNX Runtime says, and what is inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway.errors import ModelError
from gateway.inspection.files import GraphFile
from gateway.inspection.interface import Interface, read_interface

if TYPE_CHECKING:
    from gateway.inspection.structure import Structure

#: Said where the package ``onnx`` is missing.
NEEDS_ONNX = "needs the package onnx: pip install '.[onnx]'"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One file of ``size`` bytes.

    ``interface`` is None where ONNX Runtime refuses the file, ``refusal`` are its words.
    ``structure`` is None where the package onnx is missing; it needs no ONNX Runtime.
    """

    file: GraphFile
    size: int
    interface: Interface | None
    refusal: str
    structure: Structure | None

    @property
    def total_size(self) -> int:
        """Bytes with the files that hold parameters; a missing one counts for nothing."""
        external = self.structure.external if self.structure is not None else ()
        return self.size + sum(file.bytes or 0 for file in external)

    def as_dict(self) -> dict[str, Any]:
        """The report as it stands in JSON."""
        return {
            "file": self.file.name,
            "lineage": self.file.lineage,
            "size": self.size,
            "total_size": self.total_size,
            "interface": msgspec.to_builtins(self.interface),
            "refusal": self.refusal or None,
            "structure": msgspec.to_builtins(self.structure),
        }


def read_report(file: GraphFile) -> Report:
    """Look at a file; raises :class:`ModelError` where nothing can be said of it."""
    interface, refusal = None, ""
    try:
        interface = read_interface(file.path)
    except ModelError as error:
        refusal = error.detail
    structure = None
    try:
        from gateway.inspection.structure import read_structure
    except ModuleNotFoundError as error:
        if interface is None:
            raise ModelError(refusal) from error
    else:
        structure = read_structure(file.path)
    return Report(
        file=file,
        size=file.path.stat().st_size,
        interface=interface,
        refusal=refusal,
        structure=structure,
    )
