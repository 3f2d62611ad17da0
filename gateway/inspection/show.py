"""A report on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from gateway.inspection.interface import Interface, Value
from gateway.inspection.report import NEEDS_ONNX, Report
from gateway.tables import table

if TYPE_CHECKING:
    from gateway.inspection.structure import Structure


def show(report: Report, console: Console) -> None:
    """Print a report."""
    role = f"served as lineage {report.file.lineage}" if report.file.lineage else ""
    title = f"{report.file.name}" + (f" ({role})" if role else "")
    console.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
    for name, text in _lines(report):
        console.print(f"  {name + ':':12} {text}", markup=False, highlight=False, soft_wrap=True)
    if report.interface is not None:
        console.print(_values("inputs", report.interface.inputs))
        console.print(_values("outputs", report.interface.outputs))
    if report.structure is not None:
        console.print(_operators(report.structure))


def megabytes(size: int) -> str:
    """Bytes as people read them, in powers of ten."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def _lines(report: Report) -> Iterator[tuple[str, str]]:
    structure = report.structure
    size = megabytes(report.size)
    if report.total_size != report.size:
        size += f"; {megabytes(report.total_size)} with what lies beside it"
    yield "size", size
    if report.interface is None:
        yield "refused", f"ONNX Runtime cannot load it: {report.refusal}"
    else:
        yield from _metadata(report.interface)
    if structure is None:
        yield "inside", f"opset, operators and parameters: {NEEDS_ONNX}"
        return
    opsets = (f"{domain or 'ai.onnx'} {version}" for domain, version in structure.opsets.items())
    yield "opsets", f"{', '.join(opsets)}; IR version {structure.ir_version}"
    counts = (f"{count:,} {kind}" for kind, count in structure.parameters.items())
    held = f" ({megabytes(structure.parameter_bytes)})" if structure.parameters else ""
    yield "parameters", (", ".join(counts) or "none") + held
    for file in structure.external:
        there = "is missing" if file.bytes is None else megabytes(file.bytes)
        yield "beside it", f"{file.name}: {there}"
    if structure.functions:
        yield "functions", ", ".join(structure.functions)


def _metadata(interface: Interface) -> Iterator[tuple[str, str]]:
    yield "loads in", f"{interface.load_ms:,.1f} ms, optimizations included"
    if interface.producer:
        yield "made by", interface.producer
    version = "" if interface.version is None else f", version {interface.version}"
    yield "graph", f"{interface.graph or 'without a name'}{version}"
    if interface.domain:
        yield "domain", interface.domain
    if interface.description:
        yield "described", interface.description
    for name, text in interface.metadata.items():
        yield "metadata", f"{name} = {text}"


def _values(title: str, values: Iterable[Value]) -> Table:
    made = table(title, "type", "shape")
    for value in values:
        made.add_row(value.name, value.type, value.shape_text)
    return made


def _operators(structure: Structure) -> Table:
    made = table(f"{structure.nodes} nodes", "count")
    for operator, count in structure.operators.items():
        made.add_row(operator, str(count))
    return made
