"""Encoded pictures without what they hold beside the pixels, of which only the orientation is read.

Profiles, text, EXIF and further frames are of no use here, but Pillow reads them when it opens a
file: it inflates what is compressed, and copies what an EXIF entry points to, however many entries
point to the same. A few kilobytes can so take seconds and gigabytes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Literal

_PNG = b"\x89PNG\r\n\x1a\n"
_SOI = b"\xff\xd8"
_SOS = 0xDA
#: Markers of JPEG that no length follows: TEM, RST0 to RST7, SOI, EOI.
_LONE = frozenset([0x01, *range(0xD0, 0xDA)])
#: What decoding needs: frames, tables, DRI; APP0 and APP14, which tell of the colours.
_NEEDED = frozenset([*range(0xC0, 0xC8), *range(0xC9, 0xD0), 0xDB, 0xDD, 0xE0, 0xEE])
#: A marker; bytes of 255 may fill the space before it. With all of them in the pattern a file of
#: nothing else would take quadratic time.
_MARKER = re.compile(rb"\xff([^\x00\xff])")
_EXIF = 0xE1
_EXIF_HEAD = b"Exif\0\0"
#: The Orientation tag, and the only type it has, SHORT (Exif 2.32, 4.6.4).
_ORIENTATION = b"\x01\x12", b"\0\x03"
#: Entries of an EXIF directory that are looked at; cameras write some tens.
_ENTRIES = 256
#: Bytes of a PNG's transparency at most: one for each colour of a palette.
_TRANSPARENCY_BYTES = 256
#: Pieces a file may be cut into: so many, and one more for each of so many bytes.
_PIECES = 64
_PIECE_BYTES = 512


def strip(encoded: bytes) -> bytes:
    """A PNG or JPEG with the pixels it had, and nothing that decoding does not need.

    Anything else, and what follows after damage, stays as it is: that is the decoder's to refuse.
    Raises :class:`ValueError` at a file in far more pieces than encoders make.
    """
    if encoded.startswith(_PNG):
        return _strip_png(encoded)
    if encoded.startswith(_SOI):
        return _strip_jpeg(encoded)
    return encoded


def orientation(encoded: bytes) -> int:
    """How the camera was held, as EXIF numbers it: 1 is upright, 2 to 8 see CIPA DC-008, 4.6.4.

    1 where the file does not say, or says no such number.
    """
    if encoded.startswith(_PNG):
        for kind, start, end in _chunks(encoded):
            if kind == b"eXIf":
                return _orientation(encoded[start + 8 : end - 4])
    elif encoded.startswith(_SOI):
        for marker, start, end in _segments(encoded):
            if marker == _EXIF and encoded.startswith(_EXIF_HEAD, start + 4):
                return _orientation(encoded[start + 4 + len(_EXIF_HEAD) : end])
    return 1


def _orientation(exif: bytes) -> int:
    """The tag's value in the first directory of a TIFF, which is what EXIF is."""
    orders: dict[bytes, Literal["little", "big"]] = {b"II*\0": "little", b"MM\0*": "big"}
    order = orders.get(exif[:4])
    if order is None:
        return 1
    first = int.from_bytes(exif[4:8], order)
    count = int.from_bytes(exif[first : first + 2], order)
    wanted = b"".join(_ORIENTATION if order == "big" else [part[::-1] for part in _ORIENTATION])
    for start in range(first + 2, first + 2 + 12 * min(count, _ENTRIES), 12):
        if exif.startswith(wanted, start):
            value = int.from_bytes(exif[start + 8 : start + 10], order)
            return value if 1 <= value <= 8 else 1
    return 1


def _strip_png(encoded: bytes) -> bytes:
    """Critical chunks and transparency only (PNG third edition, sections 5.4 and 11.3.1.1)."""
    kept = [_PNG]
    for kind, start, end in _chunks(encoded):
        # A capital: nothing can be decoded without it.
        needed = not kind[0] & 0x20
        if needed or (kind == b"tRNS" and end - start <= _TRANSPARENCY_BYTES + 12):
            kept.append(encoded[start:end])
    return b"".join(kept)


def _chunks(encoded: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk of a PNG to its end: type, and from where to where it is."""
    place = len(_PNG)
    kind = b""
    pieces = _bound(encoded)
    while place + 8 <= len(encoded) and kind != b"IEND":
        # Length of the data; type, data and checksum.
        end = place + 12 + int.from_bytes(encoded[place : place + 4])
        kind = encoded[place + 4 : place + 8]
        next(pieces)
        yield kind, place, end
        place = end


def _strip_jpeg(encoded: bytes) -> bytes:
    """The segments before the first scan that decoding needs, and all from there on."""
    kept = [_SOI]
    for kind, start, end in _segments(encoded):
        if kind == _SOS:
            kept.append(encoded[start:])
        elif kind in _NEEDED:
            kept.append(encoded[start:end])
    return b"".join(kept)


def _segments(encoded: bytes) -> Iterator[tuple[int, int, int]]:
    """Each segment of a JPEG to its first scan: marker, and from where to where it is."""
    place = len(_SOI)
    pieces = _bound(encoded)
    # What lies between segments belongs to none; decoders skip it, too.
    while marker := _MARKER.search(encoded, place):
        kind = marker[1][0]
        place = marker.end()
        next(pieces)
        if kind not in _LONE:
            place += max(2, int.from_bytes(encoded[place : place + 2]))
            yield kind, marker.end() - 2, place
        if kind == _SOS:
            return


def _bound(encoded: bytes) -> Iterator[None]:
    """A step for each piece there may be; raises ValueError at one more."""
    yield from itertools.repeat(None, _PIECES + len(encoded) // _PIECE_BYTES)
    raise ValueError("it is cut into too many pieces")
