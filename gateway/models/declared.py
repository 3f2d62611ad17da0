"""Which inputs and outputs an ONNX file gives no shape.

ONNX Runtime shows those as it shows scalars, and takes any array for either. The package ``onnx``
would tell them apart, but the server does without it: the few fields of the file's protobuf that
say so are read here, and all others skipped unread.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

#: Where a field's content begins and ends.
_Part = tuple[int, int]
#: Numbers of the fields in onnx.proto.
_GRAPH = 7
_INPUT, _OUTPUT = 11, 12
_NAME, _TYPE = 1, 2
_TENSOR = 1
_SHAPE = 2
#: Bytes of a field by its wire type, where they are always as many.
_FIXED = {1: 8, 5: 4}


def without_shape(path: Path) -> frozenset[str]:
    """Names of inputs and outputs that declare no tensor's shape, not even its rank.

    ``path`` is a file that ONNX Runtime has loaded; of any other the result means nothing.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return frozenset(
            _text(data, value)
            for graph in _parts(data, (0, len(data)), _GRAPH)
            for value in _parts(data, graph, _INPUT, _OUTPUT)
            if not _below(data, value, _TYPE, _TENSOR, _SHAPE)
        )


def _text(data: mmap.mmap, value: _Part) -> str:
    return "".join(data[slice(*name)].decode() for name in _parts(data, value, _NAME))


def _below(data: mmap.mmap, part: _Part, *path: int) -> list[_Part]:
    """What is found in a message by one field number after the other."""
    parts = [part]
    for number in path:
        parts = [found for outer in parts for found in _parts(data, outer, number)]
    return parts


def _parts(data: mmap.mmap, within: _Part, *wanted: int) -> Iterator[_Part]:
    """The messages and texts of these field numbers in a message."""
    place, end = within
    while place < end:
        tag, place = _number(data, place)
        kind = tag & 7
        if kind == 0:
            _, place = _number(data, place)
        elif kind == 2:
            size, place = _number(data, place)
            if tag >> 3 in wanted:
                yield place, place + size
            place += size
        else:
            place += _FIXED[kind]


def _number(data: mmap.mmap, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    number = shift = 0
    while True:
        byte = data[place]
        number |= (byte & 0x7F) << shift
        place += 1
        shift += 7
        if byte < 0x80:
            return number, place
