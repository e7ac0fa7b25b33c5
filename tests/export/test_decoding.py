"""Decode image files inside the graph, and compare with Pillow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnlab.base.tf1 import tf
from cnnlab.data.image_files.images import load_image
from cnnlab.data.image_files.resizing import Resizing
from cnnlab.export.decoding import decode_images

SIZE = 24


@pytest.fixture(scope="module")
def decode() -> Any:
    """A function that decodes files to 1 or 3 channels, with one graph for all tests."""
    graph = tf.Graph()
    with graph.as_default():
        bytes_ph = tf.placeholder(tf.string, [None])
        images = {n: decode_images(bytes_ph, (SIZE, SIZE, n), Resizing()) for n in (1, 3)}
    with tf.Session(graph=graph) as session:
        yield lambda paths, channels: session.run(
            images[channels], {bytes_ph: [Path(path).read_bytes() for path in paths]}
        )


def picture(height: int = SIZE, width: int = SIZE) -> Image.Image:
    """Draw a smooth picture with edges, like a photograph."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(9 * x + c) * np.cos(7 * y - 2 * c) + (x > y) * (c - 1) for c in range(3)]
    return Image.fromarray((127 + 60 * np.stack(waves, axis=2)).clip(0, 255).astype(np.uint8))


def with_alpha(image: Image.Image, mode: str) -> Image.Image:
    image = image.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image.convert(mode)


FILES: dict[str, Callable[[str], None]] = {
    "rgb.png": lambda name: picture().save(name),
    "grey.png": lambda name: picture().convert("L").save(name),
    "bits.png": lambda name: picture().convert("1").save(name),
    "palette.png": lambda name: picture().convert("P").save(name),
    "alpha.png": lambda name: with_alpha(picture(), "RGBA").save(name),
    "grey_alpha.png": lambda name: with_alpha(picture(), "LA").save(name),
    "white_ink.png": lambda name: with_alpha(picture().point(lambda _: 252), "RGBA").save(name),
    "clear.png": lambda name: Image.new("RGBA", (SIZE, SIZE)).save(name),
    "rgb.bmp": lambda name: picture().save(name),
    "still.gif": lambda name: picture().save(name),
    "rgb.jpg": lambda name: picture().save(name, quality=60),
    "fine.jpg": lambda name: picture().save(name, quality=95, subsampling=0),
    "grey.jpg": lambda name: picture().convert("L").save(name),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.slow
def test_files_of_the_same_size_give_the_same_pixels(decode: Any, channels: int) -> None:
    for name, save in FILES.items():
        save(name)
    found = decode(FILES, channels)
    assert found.dtype == np.uint8
    for name, image in zip(FILES, found, strict=True):
        expected = load_image(name, (SIZE, SIZE, channels))
        np.testing.assert_array_equal(image, expected, err_msg=name)


@pytest.mark.parametrize("size", [(48, 48), (100, 30), (23, 61), (300, 200), (7, 5), (1, 1)])
def test_other_sizes_give_nearly_the_same(decode: Any, size: tuple[int, int]) -> None:
    picture(*size).save("other.png")
    found = decode(["other.png"], 3)[0].astype(int)
    expected = load_image("other.png", (SIZE, SIZE, 3)).astype(int)
    assert np.abs(found - expected).max() <= 3
    assert np.abs(found - expected).mean() < 0.5


def decoded(paths: list[str], shape: tuple[int, int, int], resizing: Resizing) -> Any:
    """Decode files with a graph of its own."""
    with tf.Graph().as_default(), tf.Session() as session:
        contents = tf.constant([Path(path).read_bytes() for path in paths])
        return session.run(decode_images(contents, shape, resizing))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
@pytest.mark.slow
def test_every_way_to_resize(resize: Any, interpolation: Any) -> None:
    sizes = [(48, 48), (100, 30), (23, 61), (300, 200), (7, 5), (31, 24), (SIZE, SIZE), (1, 90)]
    names = [f"{height}x{width}.png" for height, width in sizes]
    for name, size in zip(names, sizes, strict=True):
        picture(*size).save(name)
    shape, resizing = (SIZE, 31, 3), Resizing(resize, interpolation)
    found = decoded(names, shape, resizing).astype(int)
    for name, image in zip(names, found, strict=True):
        difference = np.abs(image - load_image(name, shape, resizing).astype(int))
        # Pillow's filters round to 8 bits between the two directions; nearest has no filter.
        limits = (0, 0) if interpolation == "nearest" else (4, 0.6)
        assert difference.max() <= limits[0], name
        assert difference.mean() <= limits[1], name


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
@pytest.mark.slow
def test_jpeg_files_are_decoded_smaller_as_by_pillow(resize: Any) -> None:
    names = []
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for height, width in ((77, 51), (95, 301)):  # not multiples of a divisor
            names.append(f"{orientation}.{height}.jpg")
            picture(height, width).save(names[-1], exif=exif)
    picture(203, 99).convert("CMYK").save("print.jpg")
    names.append("print.jpg")
    shape, resizing = (SIZE, 23, 3), Resizing(resize, "bicubic")
    for name, image in zip(names, decoded(names, shape, resizing).astype(int), strict=True):
        difference = np.abs(image - load_image(name, shape, resizing).astype(int))
        assert difference.max() <= 4, name
        assert difference.mean() <= 0.6, name


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.slow
def test_photographs_are_turned_upright(order: str) -> None:
    names = []
    for orientation in range(10):  # 0 and 9 mean nothing
        exif = Image.Exif()
        exif.endian = "<" if order == "little" else ">"
        exif[0x010F] = "A maker of cameras"
        exif[0x0112] = orientation
        names.append(f"{orientation}.jpg")
        picture(20, 30).save(names[-1], exif=exif, quality=95, subsampling=0)
    picture(20, 30).save("without.jpg", quality=95, subsampling=0)
    names.append("without.jpg")
    resizing = Resizing("stretch", "nearest")
    for shape in ((20, 30, 3), (30, 20, 3)):
        for name, image in zip(names, decoded(names, shape, resizing), strict=True):
            np.testing.assert_array_equal(image, load_image(name, shape, resizing), err_msg=name)


@pytest.mark.slow
def test_broken_exif_counts_as_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture().save("right.jpg", exif=exif)
    content = Path("right.jpg").read_bytes()
    start = content.index(b"Exif\0\0") + 6
    names = []
    for place, value in ((4, b"\xff\xff\xff\xff"), (8, b"\xff\xff"), (0, b"\0\0\0\0\0\0\0\0")):
        names.append(f"{place}.jpg")
        changed = content[: start + place] + value + content[start + place + len(value) :]
        Path(names[-1]).write_bytes(changed)
    assert decoded(names, (SIZE, SIZE, 3), Resizing()).shape == (3, SIZE, SIZE, 3)


def four_colours(name: str, transform: int) -> None:
    """Write a JPEG of four components; the Adobe marker says CMYK (0) or YCCK (2)."""
    cyan, magenta, yellow = picture().split()
    black = Image.linear_gradient("L").resize((SIZE, SIZE)).point(lambda x: x // 4)
    Image.merge("CMYK", (cyan, magenta, yellow, black)).save(name, quality=95, subsampling=0)
    content = Path(name).read_bytes()
    at = content.index(b"Adobe") + 11
    assert content[at] == 0
    Path(name).write_bytes(content[:at] + bytes([transform]) + content[at + 1 :])


@pytest.mark.parametrize("transform", [0, 2])
def test_four_colours_of_print(decode: Any, transform: int) -> None:
    four_colours("print.jpg", transform)
    found, expected = decode(["print.jpg"], 3)[0], load_image("print.jpg", (SIZE, SIZE, 3))
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert found.std() > 20


def test_sixteen_bits_differ_by_one_level(decode: Any) -> None:
    ramp = np.linspace(0, 65_535, SIZE * SIZE).astype(np.uint16).reshape(SIZE, SIZE)
    Image.fromarray(ramp).save("deep.png")
    found, expected = decode(["deep.png"], 1)[0], load_image("deep.png", (SIZE, SIZE, 1))
    assert expected.min() == 0
    assert expected.max() == 255
    assert np.abs(found.astype(int) - expected).max() == 1


def test_a_file_without_an_image_is_an_error(decode: Any) -> None:
    Path("letter.txt").write_text("dear")
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
        decode(["letter.txt"], 3)
