"""Images: what a graph gets of a picture, and what is refused."""

from __future__ import annotations

import base64
import struct
import subprocess
import sys
import tracemalloc
import zlib
from contextlib import suppress
from io import BytesIO
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from gateway.errors import FieldError, InvalidInput, ModelError
from gateway.models import image, image_feature
from gateway.models.image import Slow
from gateway.models.manifest import BackendSpec, Feature, Manifest, Output
from gateway.models.validator import Validator
from tests.conftest import REPOSITORY, ROOT
from tests.pictures import draw, encoded, text

HEIGHT, WIDTH = 5, 7


def validator(limits: dict[str, Any] | None = None, **options: Any) -> Validator:
    options = {"size": (HEIGHT, WIDTH)} | options
    feature = Feature("x", "image", **options)
    manifest = Manifest("m", (feature,), (Output("y"),), {"onnx": BackendSpec({"only": {}})})
    manifest.check()
    return Validator(manifest, **(limits or {}))


def read(check: Validator, *files: bytes) -> Any:
    """The column of these pictures, sent as JSON."""
    rows = check.decode(msgspec.json.encode({"instances": [{"x": text(file)} for file in files]}))
    return rows.columns["x"]


def refused(check: Validator, *files: bytes) -> dict[str, str]:
    """The first error of pictures that must be refused."""
    with pytest.raises(InvalidInput) as caught:
        read(check, *files)
    return caught.value.errors[0].as_dict()


def test_a_picture_of_the_right_size_is_what_the_graph_gets() -> None:
    colour, grey = draw((HEIGHT, WIDTH, 3)), draw((HEIGHT, WIDTH))
    column = read(validator(), encoded(colour))
    assert column.dtype == np.uint8
    np.testing.assert_array_equal(column[0], colour)
    column = read(validator(layout="CHW"), encoded(colour), encoded(colour))
    np.testing.assert_array_equal(column, np.stack([colour.transpose(2, 0, 1)] * 2))
    for layout, expected in (("HW", grey), ("HWC", grey[..., None]), ("CHW", grey[None])):
        column = read(validator(mode="L", layout=layout), encoded(grey))
        np.testing.assert_array_equal(column[0], expected)


def test_other_modes_are_converted_and_other_sizes_resized() -> None:
    grey, colour = draw((HEIGHT, WIDTH)), draw((30, 20, 3))
    np.testing.assert_array_equal(
        read(validator(), encoded(grey))[0], np.repeat(grey[..., None], 3, axis=2)
    )
    picture = Image.fromarray(colour)
    expected = picture.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(read(validator(), encoded(picture))[0], np.asarray(expected))
    palette = Image.fromarray(colour).quantize(16)
    expected = palette.convert("L").resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    column = read(validator(mode="L", layout="HW"), encoded(palette))
    np.testing.assert_array_equal(column[0], np.asarray(expected))


def test_what_is_transparent_shows_white() -> None:
    clear, half = (0, 0, 0, 0), (0, 100, 200, 128)
    picture = Image.new("RGBA", (WIDTH, HEIGHT), clear)
    picture.paste(half, (0, 0, 3, HEIGHT))
    file = encoded(picture)
    column = read(validator(), file)[0]
    assert (column[:, 3:] == 255).all()
    np.testing.assert_allclose(column[:, :3], np.broadcast_to([127, 177, 227], (5, 3, 3)), atol=1)
    large = encoded(picture.resize((WIDTH * 8, HEIGHT * 8), Image.Resampling.NEAREST))
    assert (read(validator(), large)[0][:, 4:] == 255).all()  # no black from beyond the edge
    grey = validator(mode="L", layout="HW")
    for other in (picture.convert("LA"), picture.quantize(4)):
        assert (read(grey, encoded(other))[0][:, 3:] == 255).all()
    palette = Image.new("P", (WIDTH, HEIGHT), 1)
    palette.putpalette([9, 9, 9] * 4)
    assert (read(grey, encoded(palette))[0] == 9).all()
    assert (read(grey, encoded(palette, transparency=1))[0] == 255).all()
    assert (read(grey, encoded(Image.new("L", (9, 9), 7), transparency=7))[0] == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_seen_upright(orientation: int, kind: str) -> None:
    """One corner is bright; Pillow's own way of turning says which."""
    dark = np.zeros((40, 56, 3), np.uint8)
    dark[:20, :28] = 255
    exif = Image.Exif()
    exif[0x112] = orientation
    held = encoded(Image.fromarray(dark), kind, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(held))))
    size = expected.shape[:2]
    np.testing.assert_allclose(read(validator(size=size), held)[0], expected, atol=2)
    small = read(validator(size=(HEIGHT, WIDTH)), held)[0] > 127
    assert small[:2, :3].all() == expected[0, 0].all()
    assert small[-2:, -3:].all() == expected[-1, -1].all()
    assert small.mean() == pytest.approx(0.25, abs=0.1)


def test_a_large_photo_is_decoded_small_and_looks_the_same() -> None:
    waves = np.sin(np.linspace(0, 20, 1600)[:, None] + np.linspace(0, 9, 1200)[None])
    photo = np.repeat(((waves + 1) * 127).astype(np.uint8)[..., None], 3, axis=2)
    check = validator(size=(40, 30))
    column = read(check, encoded(photo, "JPEG", quality=95))[0].astype(int)
    expected = Image.fromarray(photo).resize((30, 40), Image.Resampling.BILINEAR)
    assert np.abs(column - np.asarray(expected)).max() <= 3
    seen = []
    pixels = image._pixels

    def watched(feature: Feature, picture: Any, orientation: int) -> Any:
        made = pixels(feature, picture, orientation)
        seen.append(picture.size)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image, "_pixels", watched)
        read(check, encoded(photo, "JPEG"), encoded(photo[:200, :150], "JPEG"))
    assert seen == [(150, 200), (150, 200)]


def test_base64_as_browsers_and_mail_write_it() -> None:
    check, file = validator(), encoded(draw((HEIGHT, WIDTH, 3)))
    expected = read(check, file)[0]
    lines = base64.encodebytes(file).decode()
    assert lines.count("\n") > 1
    for spelled in (
        lines,
        lines.replace("\n", "\r\n "),
        f"data:image/png;base64,{text(file)}",
        f"DATA:image/jpeg;name=x.jpg;BASE64,{lines}",
    ):
        for reading in (check, check.quick):
            rows = reading.decode(msgspec.json.encode({"x": spelled}))
            np.testing.assert_array_equal(rows.columns["x"][0], expected)
    for spelled in (f"data:image/png,{text(file)}", f"data:;base64,data:;base64,{text(file)}"):
        with pytest.raises(InvalidInput, match="is not base64"):
            check.decode(msgspec.json.encode({"x": spelled}))


def test_sixteen_bits_become_eight() -> None:
    grey = draw((HEIGHT, WIDTH))
    wide = grey.astype(np.uint16) * 257
    column = read(validator(mode="L", layout="HW"), encoded(wide))
    np.testing.assert_array_equal(column[0], grey)


def test_jpeg_is_read_about_as_it_was_drawn() -> None:
    ramp = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (64, 1))
    column = read(validator(mode="L", layout="HW", size=(64, 64)), encoded(ramp, "JPEG"))
    assert np.abs(column[0].astype(int) - ramp).max() < 12


def test_numbers_are_scaled_per_channel() -> None:
    colour = draw((HEIGHT, WIDTH, 3))
    mean, std = (0.1, 0.2, 0.3), (0.5, 1.0, 2.0)
    check = validator(dtype="float32", scale=255, mean=mean, std=std, layout="CHW")
    column = read(check, encoded(colour))
    assert column.dtype == np.float32
    expected = (colour / 255 - np.array(mean)) / np.array(std)
    np.testing.assert_allclose(column[0], expected.transpose(2, 0, 1), atol=1e-6)
    plain = read(validator(dtype="float32"), encoded(colour))
    np.testing.assert_array_equal(plain[0], colour.astype(np.float32))


def test_rows_go_on_as_the_pictures_they_came_as() -> None:
    check, file = validator(), encoded(draw((HEIGHT, WIDTH, 3)))
    for spelled in (text(file), {"b64": text(file)}):
        rows = check.decode(msgspec.json.encode({"x": spelled}))
        assert rows.count == 1
        again = check.decode(msgspec.json.encode({"instances": rows.objects}))
        np.testing.assert_array_equal(again.columns["x"], rows.columns["x"])
    rows = check.convert([{"x": file}])  # from a form
    np.testing.assert_array_equal(rows.columns["x"], again.columns["x"])


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        ({"x": "no base64!"}, "type", "is not base64"),
        ({"x": 3}, "type", "is a number, not a picture in base64"),
        ({"x": None}, "type", "is null"),
        ({"x": ["aGVsbG8="]}, "type", "is a list"),
        ({"x": {"b64": 1}}, "type", "does not fit"),
        ({"x": {"base64": "aGVsbG8="}}, "type", "does not fit"),
        ({"x": ""}, "image", "is neither PNG nor JPEG"),
        ({"x": text(b"hello")}, "image", "is neither PNG nor JPEG"),
        ({}, "missing", "is missing"),
    ],
)
def test_what_is_no_picture_is_named(content: Any, kind: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validator().decode(msgspec.json.encode({"instances": [content]}))
    (error,) = caught.value.errors
    assert (error.pointer, error.field, error.kind) == ("/instances/0/x", "x", kind)
    assert said in error.detail
    assert "5×7" in error.allowed


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "EPS"])
def test_no_other_format_is_opened(kind: str) -> None:
    error = refused(validator(), encoded(Image.fromarray(draw((32, 32, 3))), kind))
    assert error["detail"] == "is neither PNG nor JPEG"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_the_broken_picture_among_many_is_named(kind: str) -> None:
    whole = encoded(draw((40, 40, 3)), kind)
    error = refused(validator(), whole, whole[: len(whole) // 2], whole)
    assert error["pointer"] == "/instances/1/x"
    assert error["kind"] == "image"
    assert "cannot be decoded" in error["detail"]


def _header(width: int, height: int) -> bytes:
    """A PNG that claims a size and ends there."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


@pytest.mark.parametrize(("width", "height"), [(6_000, 6_000), (60_000, 60_000), (2**31 - 1, 1)])
def test_a_bomb_is_refused_by_its_head(width: int, height: int) -> None:
    idat = b"IDAT"
    chunk = struct.pack(">I", 0) + idat + struct.pack(">I", zlib.crc32(idat))
    error = refused(validator(), _header(width, height) + chunk)
    assert error["kind"] == "image"
    assert "pixels" in error["detail"]


def test_no_limit_can_be_set_that_pillow_does_not_let_through() -> None:
    assert 2 * (Image.MAX_IMAGE_PIXELS or 0) == image_feature.MOST_PIXELS
    assert image_feature.MAX_PIXELS >= 6_048 * 4_032  # a phone's 24 megapixels


def test_the_limit_is_that_of_the_whole_request() -> None:
    file = encoded(draw((10, 10, 3)))
    check = validator({"max_pixels": 300})
    assert read(check, file, file, file).shape == (3, HEIGHT, WIDTH, 3)
    error = refused(check, file, file, file, file)
    assert error["pointer"] == "/instances/3/x"
    assert error["detail"] == "has 10×10 pixels; a request may have 300 in all"
    check = validator({"max_pixels": 99})
    assert "a request may have 99" in refused(check, file)["detail"]
    check, speck = validator({"max_pixels": 70}), encoded(draw((1, 1)))
    assert len(read(check, speck, speck)) == 2
    error = refused(check, speck, speck, speck)
    assert error["detail"] == "has 1×1 pixels and becomes 5×7; a request may have 70 in all"


def test_the_arrays_of_a_request_are_bounded_and_made_once() -> None:
    check = validator({"max_pixels": 400_000}, size=(100, 100), dtype="float32")
    speck = text(encoded(draw((1, 1))))

    def peak(count: int) -> tuple[int, list[FieldError]]:
        """Bytes that a request of so many pictures takes at most, and what is wrong with it."""
        body = msgspec.json.encode({"instances": [{"x": speck}] * count})
        errors: list[FieldError] = []
        tracemalloc.start()
        try:
            check.decode(body)
        except InvalidInput as error:
            errors = error.errors
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return taken, errors

    taken, errors = peak(13)
    assert 13 * 120_000 < taken < 15 * 120_000
    assert errors == []
    taken, (error, *_) = peak(30)
    assert taken < 120_000 * 13
    assert error.pointer == "/instances/13/x"
    assert error.detail == "becomes an array of 120000 bytes; a request's may have 1600000 in all"


def test_a_row_of_the_size_in_the_manifest_always_fits() -> None:
    check = validator({"max_pixels": 10}, size=(50, 60), dtype="float32")
    file = encoded(draw((50, 60, 3)))
    assert read(check, file).shape == (1, 50, 60, 3)
    assert "3000 in all" in refused(check, file, file)["detail"]
    pair = (Feature("x", "image", size=(9, 9)), Feature("y", "image", size=(8, 8)))
    manifest = Manifest("m", pair, (Output("z"),), {"onnx": BackendSpec({"only": {}})})
    body = {"x": text(encoded(draw((9, 9)))), "y": text(encoded(draw((8, 8))))}
    assert Validator(manifest, max_pixels=1).convert([body]).count == 1


def test_where_requests_are_joined_the_limit_is_that_of_each_picture() -> None:
    file = encoded(draw((10, 10, 3)))
    check = validator({"max_pixels": 100, "each_alone": True}, dtype="float32")
    assert len(read(check, *[file] * 9)) == 9
    error = refused(check, file, encoded(draw((10, 11))))
    assert error["pointer"] == "/instances/1/x"


@pytest.mark.parametrize("note", [False, True])
@pytest.mark.parametrize("parsed", [False, True])
def test_every_picture_is_decoded_once(
    note: bool, parsed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = [Feature("x", "image", size=(HEIGHT, WIDTH))]
    if note:
        features.append(Feature("note", "string"))
    backends = {"onnx": BackendSpec({"only": {}})}
    check = Validator(Manifest("m", tuple(features), (Output("y"),), backends))
    decoded = []
    pixels = image._pixels

    def counted(feature: Feature, picture: Any, orientation: int) -> Any:
        decoded.append(picture)
        return pixels(feature, picture, orientation)

    monkeypatch.setattr(image, "_pixels", counted)
    whole = encoded(draw((40, 40, 3)))

    def errors(*files: bytes) -> list[str]:
        decoded.clear()
        rows = [{"x": text(file)} | ({"note": "a"} if note else {}) for file in files]
        try:
            if parsed:
                check.convert(rows, "/instances/{}")
            else:
                check.decode(msgspec.json.encode({"instances": rows}))
        except InvalidInput as error:
            return [one.pointer for one in error.errors if one.sent]
        return []

    assert errors(whole, whole) == []
    assert len(decoded) == 2
    assert errors(whole, whole[:-300], whole) == ["/instances/1/x"]
    assert len(decoded) == 2
    # A file that is no picture at all needs no decoding to be found, wherever it is.
    found = errors(whole, whole[:-300], b"none")
    assert found[0] == "/instances/2/x"
    assert found[1:] == ([] if note and parsed else ["/instances/1/x"])
    assert len(decoded) <= 2


def test_a_fault_beside_a_picture_is_named_with_it() -> None:
    features = (Feature("x", "image", size=(2, 2)), Feature("n", "integer", range=(0, 9)))
    backends = {"onnx": BackendSpec({"only": {}})}
    check = Validator(Manifest("m", features, (Output("y"),), backends, out_of_range="reject"))
    file = encoded(draw((40, 40)))
    for sent, named in ((file, ["n"]), (file[:-300], ["n", "x"])):
        with pytest.raises(InvalidInput) as caught:
            check.decode(msgspec.json.encode({"x": text(sent), "n": 10}))
        assert [error.pointer for error in caught.value.errors] == [f"/{name}" for name in named]


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    whole = encoded(draw((64, 64, 3)), "JPEG", progressive=True)
    start = whole.rindex(b"\xff\xda")
    last = whole[start:-2]
    assert read(validator(), whole).shape == (1, HEIGHT, WIDTH, 3)
    assert "scans" in refused(validator(), whole[:-2] + last * 100 + whole[-2:])["detail"]


def test_an_event_loop_is_warned_before_much_is_decoded() -> None:
    check = validator()
    small, large = encoded(draw((100, 100))), encoded(draw((300, 300)))
    np.testing.assert_array_equal(read(check.quick, small), read(check, small))
    for files in ([large], [small] * 7):
        with pytest.raises(Slow):
            read(check.quick, *files)
        assert len(read(check, *files)) == len(files)
    assert refused(check.quick, b"no picture")["kind"] == "image"
    scans = encoded(draw((100, 100, 3)), "JPEG", progressive=True)
    assert scans.count(b"\xff\xda") > 6
    with pytest.raises(Slow):
        read(check.quick, scans)


_WHOLE = [encoded(draw((9, 9, 3)), kind) for kind in ("PNG", "JPEG")]


@settings(max_examples=200)
@given(
    st.sampled_from(_WHOLE),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=8),
    st.integers(0, 2_000),
)
def test_any_damage_is_either_seen_or_harmless(
    whole: bytes, changes: list[tuple[int, int]], end: int
) -> None:
    damaged = bytearray(whole)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    with suppress(InvalidInput):
        assert read(validator(), bytes(damaged[: max(end, 1)])).shape == (1, HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": None}, "needs its size"),
        ({"size": (0, 5)}, "size"),
        ({"size": (5, 10_000)}, "size"),
        ({"shape": (5, 7)}, "not a shape"),
        ({"layout": "HW"}, "layout HW"),
        ({"dtype": "int64"}, "uint8 or float32"),
        ({"scale": 255.0}, "scale needs dtype float32"),
        ({"mean": (0.5, 0.5, 0.5)}, "mean needs dtype float32"),
        ({"dtype": "float32", "scale": 0.0}, "above 0"),
        ({"dtype": "float32", "mean": (0.5,)}, "one per channel"),
        ({"dtype": "float32", "mode": "L", "std": (1.0, 1.0)}, "one per channel"),
        ({"dtype": "float32", "std": (1.0, 0.0, 1.0)}, "above 0"),
        ({"range": (0, 255)}, "no range"),
        ({"categories": ("a", "b")}, "no categories"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        validator(**options)


@pytest.mark.parametrize("name", ["mode", "size", "layout", "scale", "mean", "std"])
def test_only_images_have_what_images_have(name: str) -> None:
    value = {"mode": "L", "size": (1, 1), "layout": "HW", "scale": 1.0}.get(name, (1.0,))
    with pytest.raises(ModelError, match=f"a number has no {name}"):
        Feature("x", "number", **{name: value}).check()  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_where_there_is_no_example_a_grey_picture_is_one(mode: Any) -> None:
    check = validator(mode=mode)
    column = check.convert([check.manifest.example]).columns["x"]
    assert column.shape[1:3] == (HEIGHT, WIDTH)
    assert (column == 128).all()


def test_without_images_nothing_that_decodes_is_imported() -> None:
    code = (
        "import sys; from gateway.app import create_app; from gateway.config import Settings; "
        f"create_app(Settings(repository={str(REPOSITORY)!r})); "
        "sys.exit('PIL' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
