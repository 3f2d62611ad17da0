"""Encoded pictures without what they hold beside the pixels.

Profiles, text, EXIF and further frames are of no use here, but Pillow reads them when it opens a
file: it inflates what is compressed, and copies what an EXIF entry points to, however many entries
point to the same. A few kilobytes can so take seconds and gigabytes.
"""

from __future__ import annotations

import re

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


def _strip_png(encoded: bytes) -> bytes:
    """Critical chunks only (PNG third edition, section 5.4)."""
    kept = [_PNG]
    place = len(_PNG)
    while place + 8 <= len(encoded):
        # Length of the data; type, data and checksum.
        end = place + 12 + int.from_bytes(encoded[place : place + 4])
        kind = encoded[place + 4 : place + 8]
        if not kind[0] & 0x20:  # a capital: nothing can be decoded without it
            _keep(kept, encoded, place, end)
        place = end
        if kind == b"IEND":
            return b"".join(kept)
    return b"".join(kept)


def _strip_jpeg(encoded: bytes) -> bytes:
    """The segments before the first scan that decoding needs, and all from there on."""
    kept = [_SOI]
    place = len(_SOI)
    # What lies between segments belongs to none; decoders skip it, too.
    while marker := _MARKER.search(encoded, place):
        kind = marker[1][0]
        start = marker.end() - 2
        if kind == _SOS:
            return b"".join([*kept, encoded[start:]])
        place = marker.end()
        if kind not in _LONE:
            place += max(2, int.from_bytes(encoded[place : place + 2]))
            if kind in _NEEDED:
                _keep(kept, encoded, start, place)
    return b"".join(kept)


def _keep(kept: list[bytes], encoded: bytes, start: int, end: int) -> None:
    if len(kept) > _PIECES + len(encoded) // _PIECE_BYTES:
        raise ValueError("it is cut into too many pieces")
    kept.append(encoded[start:end])
