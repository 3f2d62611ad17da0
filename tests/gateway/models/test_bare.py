"""Pictures without what is beside the pixels: the same pixels, and nothing left to be read."""

from __future__ import annotations

import struct
import time
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from gateway.models.bare import orientation, strip
from tests.pictures import draw, encoded

PIXELS = draw((20, 30, 3))
PNG = encoded(PIXELS)
JPEG = encoded(PIXELS, "JPEG")


def opened(content: bytes) -> Any:
    return Image.open(BytesIO(content))


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def segment(kind: int, data: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, kind, len(data) + 2) + data


def behind_the_head(*chunks: bytes) -> bytes:
    return PNG[:33] + b"".join(chunks) + PNG[33:]


def behind_the_start(*segments: bytes) -> bytes:
    return JPEG[:2] + b"".join(segments) + JPEG[2:]


def test_what_holds_nothing_else_stays_as_it_is() -> None:
    for content in (PNG, JPEG, encoded(PIXELS, "JPEG", progressive=True), b"", b"GIF89a"):
        assert strip(content) == content


def test_nothing_beside_the_pixels_is_left() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("a", "b" * 100, zip=True)
    exif = Image.Exif()
    exif[0x010E] = "a description"
    beside: dict[str, Any] = {"exif": exif, "icc_profile": b"no profile", "dpi": (72, 72)}
    picture = Image.fromarray(PIXELS)
    frames = [Image.fromarray(draw((20, 30, 3), seed)) for seed in range(3)]
    for content in (
        encoded(picture, "PNG", pnginfo=text, **beside),
        encoded(picture, "PNG", save_all=True, append_images=frames),
        encoded(picture, "JPEG", comment="a comment", **beside),
        encoded(picture.convert("CMYK"), "JPEG", exif=exif),
        behind_the_head(*[chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1_000_000)))] * 50),
        behind_the_start(segment(0xE1, b"Exif\0\0II*\0"), b"junk", segment(0xED, b"a")),
    ):
        bare = strip(content)
        assert len(bare) < len(content)
        left = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "adobe"}
        info = opened(bare).info
        assert set(info) <= left | {"adobe_transform"} if b"JFIF" in bare else not info.get("icc")
        assert not {"exif", "icc_profile", "comment", "transparency", "a"} & set(info)
        expected = np.asarray(opened(content).convert("RGB"))
        np.testing.assert_array_equal(np.asarray(opened(bare).convert("RGB")), expected)


def exif_of(value: int, order: str = "<", kind: int = 3, before: int = 1) -> bytes:
    """A TIFF whose first directory has so many entries before the orientation."""
    entries = [struct.pack(order + "HHI4s", 0x100, 3, 1, b"")] * before
    entries.append(struct.pack(order + "HHIHH", 0x112, kind, 1, value, 0))
    head = struct.pack(order + "2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(entries))
    return head + b"".join(entries) + bytes(4)


def test_the_transparency_of_a_png_is_kept_and_bounded() -> None:
    palette = Image.fromarray(PIXELS).quantize(8)
    content = encoded(palette, "PNG", transparency=3)
    assert strip(content) == content
    long = behind_the_head(chunk(b"tRNS", bytes(257)))
    assert strip(long) == PNG


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_orientation_is_read_wherever_a_file_notes_it(order: str) -> None:
    assert [orientation(content) for content in (PNG, JPEG, b"", b"GIF89a")] == [1, 1, 1, 1]
    picture, noted = Image.fromarray(PIXELS), Image.Exif()
    for value in range(1, 9):
        exif = exif_of(value, order)
        noted[0x112] = value
        for content in (
            behind_the_head(chunk(b"eXIf", exif)),
            behind_the_start(
                segment(0xE1, b"http://ns.adobe.com/"), segment(0xE1, b"Exif\0\0" + exif)
            ),
            encoded(picture, "JPEG", exif=noted),
            encoded(picture, "PNG", exif=noted),
        ):
            assert orientation(content) == value
            assert "exif" not in opened(strip(content)).info


@pytest.mark.parametrize(
    "exif",
    [
        exif_of(0),
        exif_of(9),
        exif_of(6, kind=4),
        exif_of(6, before=300),
        exif_of(6)[:20],
        b"II*\0" + b"\xff" * 8,
        b"",
        b"no TIFF at all",
    ],
)
def test_what_is_no_orientation_changes_nothing(exif: bytes) -> None:
    assert orientation(behind_the_start(segment(0xE1, b"Exif\0\0" + exif))) == 1
    assert orientation(behind_the_head(chunk(b"eXIf", exif))) == 1


def test_a_segment_that_decoders_do_not_know_hides_nothing() -> None:
    # Pillow looks for the next marker within it.
    hidden = segment(0xF0, segment(0xE1, b"Exif\0\0II*\0"))
    assert "exif" in opened(behind_the_start(hidden)).info
    assert "exif" not in opened(strip(behind_the_start(hidden))).info


@pytest.mark.parametrize(
    "content",
    [
        behind_the_head(*[chunk(b"IDAT")] * 200),
        behind_the_head(*[chunk(b"PLTE")] * 200),
        behind_the_start(*[segment(0xDD, b"\0\0")] * 200),
        behind_the_head(*[chunk(b"tEXt")] * 200),
        behind_the_start(*[segment(0xE2, b"")] * 200),
    ],
)
def test_a_file_in_too_many_pieces_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="too many pieces"):
        strip(content)


def test_a_file_in_many_pieces_of_some_size_is_none() -> None:
    pieces = b"".join(chunk(b"IDAT", bytes(1024)) for _ in range(1_000))
    assert len(strip(PNG[:33] + pieces)) == 33 + len(pieces)


def test_it_takes_no_longer_than_the_file_is() -> None:
    started = time.perf_counter()
    for filling in (b"\xff" * 1_000_000, b"\0" * 1_000_000, b"\xff\0" * 500_000):
        assert len(strip(JPEG[:2] + filling)) == 2
        assert orientation(JPEG[:2] + filling) == 1
    assert len(strip(JPEG[:2] + b"\xff" * 1_000_000 + JPEG[2:])) == len(JPEG)
    with pytest.raises(ValueError, match="too many pieces"):
        strip(behind_the_head(*[chunk(b"aaAa")] * 80_000))
    assert time.perf_counter() - started < 2


@given(st.sampled_from([PNG, JPEG]), st.binary(max_size=20), st.integers(0, 2_000))
def test_any_damage_is_passed_on(whole: bytes, junk: bytes, place: int) -> None:
    damaged = whole[:place] + junk + whole[place + len(junk) :]
    assert len(strip(damaged)) <= len(damaged)
    assert 1 <= orientation(damaged) <= 8
