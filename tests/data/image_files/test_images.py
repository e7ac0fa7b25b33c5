"""Image files of any size and mode, read as network inputs."""

import contextlib
import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cnnlab.base.errors import DataError
from cnnlab.data.image_files.images import load_image

RGB, GREY = (4, 6, 3), (4, 6, 1)  # height, width, channels
PIXELS = np.random.default_rng(2).integers(0, 256, RGB, np.uint8)


def test_an_image_of_the_right_shape_is_unchanged() -> None:
    Image.fromarray(PIXELS).save("a.png")
    found = load_image("a.png", RGB)
    assert found.dtype == np.uint8
    assert np.array_equal(found, PIXELS)


def test_grey_is_the_standard_luma() -> None:
    Image.fromarray(PIXELS).save("a.png")
    found = load_image(Path("a.png"), GREY)
    luma = PIXELS @ np.array([0.299, 0.587, 0.114])
    assert found.shape == GREY
    assert np.abs(found[..., 0] - luma).max() <= 1
    Image.fromarray(PIXELS[..., 0]).save("g.png")
    assert np.array_equal(load_image("g.png", GREY)[..., 0], PIXELS[..., 0])
    assert np.array_equal(load_image("g.png", RGB), np.repeat(PIXELS[..., :1], 3, axis=2))


@pytest.mark.parametrize("size", [(1, 1), (60, 40), (3, 90)])
def test_any_size(size: tuple[int, int]) -> None:
    Image.new("RGB", size, (10, 20, 30)).save("a.bmp")
    assert (load_image("a.bmp", RGB) == [10, 20, 30]).all()


def test_the_left_side_stays_on_the_left() -> None:
    wide = Image.new("RGB", (60, 40), "black")
    wide.paste("white", (0, 0, 30, 40))
    wide.save("a.png")
    found = load_image("a.png", RGB)
    assert found[:, 0].min() > 250
    assert found[:, -1].max() < 5


def test_transparent_parts_become_white() -> None:
    Image.new("RGBA", (6, 4), (0, 0, 0, 0)).save("clear.png")
    assert (load_image("clear.png", RGB) == 255).all()
    Image.new("LA", (6, 4), (0, 128)).save("half.png")
    assert np.abs(load_image("half.png", GREY).astype(int) - 127).max() <= 1
    palette = Image.new("P", (6, 4), 1)
    palette.putpalette([0, 0, 0, 9, 9, 9])
    palette.save("p.png", transparency=1)
    assert (load_image("p.png", RGB) == 255).all()


def test_exif_orientation_is_applied() -> None:
    picture = Image.new("RGB", (40, 60), "black")
    picture.paste("white", (0, 0, 40, 30))  # the upper half
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise: the top moves to the right
    picture.save("a.jpg", exif=exif)
    found = load_image("a.jpg", RGB)
    assert found[:, 0].max() < 30
    assert found[:, -1].min() > 225


def test_sixteen_bits() -> None:
    values = np.array([[0, 257, 25_700, 65_535, 128, 40_000]] * 4, np.uint16)
    Image.fromarray(values).save("a.png")
    assert load_image("a.png", GREY)[0, :, 0].tolist() == [0, 1, 100, 255, 0, 156]
    assert load_image("a.png", RGB)[0, 3].tolist() == [255] * 3


@pytest.mark.parametrize(
    ("row", "kind", "expected"),
    [
        ([0, 0.2, 0.4, 0.6, 0.8, 1], np.float32, [0, 51, 102, 153, 204, 255]),
        ([0, 0.6, 2, 3.4, 254.4, 255], np.float32, [0, 1, 2, 3, 254, 255]),
        ([0, 1, 2, 3, 254, 255], np.int32, [0, 1, 2, 3, 254, 255]),
        ([0, 1, 1, 0, 1, 0], np.int32, [0, 1, 1, 0, 1, 0]),
        ([0, 257, 514, 40_000, 128, 65_535], np.int32, [0, 1, 2, 156, 0, 255]),
        ([0, 257, 514, 40_000, 128, 65_535], np.float32, [0, 1, 2, 156, 0, 255]),
    ],
)
def test_floats_and_thirty_two_bits(row: list[float], kind: type, expected: list[int]) -> None:
    Image.fromarray(np.array([row] * 4, kind)).save("a.tiff")
    assert load_image("a.tiff", GREY)[0, :, 0].tolist() == expected
    assert load_image("a.tiff", RGB)[3, :, 1].tolist() == expected


@pytest.mark.parametrize(
    ("value", "kind"),
    [(-1, np.int32), (65_536, np.int32), (-0.1, np.float32), (np.nan, np.float32)],
)
def test_pixels_of_an_unknown_range_are_refused(value: float, kind: type) -> None:
    row = np.array([0, 1, 0, 1, 0, value], kind)
    Image.fromarray(np.array([row] * 4)).save("a.tiff")
    with pytest.raises(DataError, match=r"^a.tiff has pixels from \S+ to \S+, so .*save it with 8"):
        load_image("a.tiff", GREY)


def test_white_ink_on_a_transparent_ground_is_seen() -> None:
    ink = np.zeros((4, 6), np.uint8)
    ink[1:3, 2:5] = 255
    ink[1, 1] = 128  # the edge of the ink
    for colour in (255, 251):
        layers = [Image.new("L", (6, 4), colour)] * 3
        Image.merge("RGBA", (*layers, Image.fromarray(ink))).save("a.png")
        for shape in (GREY, RGB):
            found = load_image("a.png", shape).astype(int)
            assert np.abs(found - ink[..., None] * (colour / 255)).max() <= 1
    Image.merge("RGBA", [*[Image.new("L", (6, 4), 0)] * 3, Image.fromarray(ink)]).save("a.png")
    assert np.array_equal(load_image("a.png", GREY)[..., 0], 255 - ink)  # black ink is on white
    Image.new("RGBA", (6, 4), "white").save("a.png")  # opaque
    assert (load_image("a.png", RGB) == 255).all()


def test_four_channels() -> None:
    """A network of RGBA images sees the transparency; images without it are opaque."""
    rgba = np.random.default_rng(4).integers(0, 256, (4, 6, 4), np.uint8)
    for name in ("a.png", "a.tiff", "a.webp"):
        Image.fromarray(rgba).save(name, lossless=True, exact=True)
        assert np.array_equal(load_image(name, (4, 6, 4)), rgba)
    Image.fromarray(PIXELS).save("b.png")
    opaque = np.full((4, 6, 1), 255)
    assert np.array_equal(load_image("b.png", (4, 6, 4)), np.concatenate([PIXELS, opaque], axis=2))
    Image.fromarray(PIXELS[..., 0]).save("g.png")
    assert (load_image("g.png", (4, 6, 4))[..., 2] == PIXELS[..., 0]).all()
    assert load_image("a.png", (9, 5, 4)).shape == (9, 5, 4)


def test_one_bit_and_palette() -> None:
    bits = np.array([[0, 1, 1, 0, 1, 0]] * 4, bool)
    Image.fromarray(bits).save("bits.png")
    assert load_image("bits.png", GREY)[0, :, 0].tolist() == [0, 255, 255, 0, 255, 0]
    palette = Image.fromarray(np.array([[0, 1, 2, 2, 1, 0]] * 4, np.uint8), "L").convert("P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.save("p.gif")
    assert load_image("p.gif", RGB)[0, :3].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


def test_only_the_first_frame_is_read() -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "a.tiff", "a.webp"):
        frames[0].save(name, save_all=True, append_images=frames[1:], lossless=True)
        assert np.abs(load_image(name, RGB).astype(int) - [255, 0, 0]).max() <= 2, name


def test_cmyk_jpeg() -> None:
    Image.new("CMYK", (60, 40), (0, 255, 255, 0)).save("a.jpg", quality=95)
    assert np.abs(load_image("a.jpg", RGB).astype(int) - [255, 0, 0]).max() <= 3


def test_resizing_uses_antialiasing() -> None:
    """Without antialiasing a fine pattern would become black or white."""
    fine = np.indices((400, 600)).sum(axis=0) % 2 * 255
    Image.fromarray(fine.astype(np.uint8)).save("a.png")
    assert np.abs(load_image("a.png", GREY).astype(int) - 127).max() <= 2


@pytest.mark.parametrize("mode", ["1", "CMYK", "P", "YCbCr", "F", "LAB", "HSV"])
def test_other_modes(mode: str) -> None:
    Image.new("RGB", (6, 4), "white").convert("L").convert(
        "L" if mode in ("LAB", "HSV") else mode
    ).save("a.tiff")
    assert load_image("a.tiff", RGB).min() >= 254


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.png", "no image file gone.png"),
        ("text.png", "text.png is not an image that can be read; the formats are PNG, JPEG"),
        ("empty.png", "empty.png is not an image that can be read"),
        ("folder", "folder is not a regular file"),
        ("cut.png", "cut.png cannot be read as an image"),
    ],
)
def test_files_that_are_no_images(name: str, message: str) -> None:
    Path("text.png").write_text("no image")
    Path("empty.png").write_bytes(b"")
    Path("folder").mkdir()
    Image.fromarray(PIXELS).save("whole.png")
    Path("cut.png").write_bytes(Path("whole.png").read_bytes()[:-40])
    with pytest.raises(DataError) as error:
        load_image(name, RGB)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("side", [8_000, 10_000, 30_000])
def test_a_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    """A small file that claims a huge square of pixels raises an error and gives no warning."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    Path("bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99))
    )
    with pytest.raises(DataError, match=r"bomb\.png") as error:
        load_image("bomb.png", RGB)
    assert "\n" not in str(error.value)


def encoded(format_name: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.tile(PIXELS, (4, 4, 1))).save(file, format_name)
    return file.getvalue()


WHOLE = {name: encoded(name) for name in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")}


@given(name=st.sampled_from(sorted(WHOLE)), data=st.data())
def test_damaged_files_give_an_image_or_a_data_error(name: str, data: st.DataObject) -> None:
    content = bytearray(WHOLE[name])
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    Path("any").write_bytes(content)
    with warnings.catch_warnings(), contextlib.suppress(DataError):
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata
        assert load_image("any", RGB).shape == RGB
