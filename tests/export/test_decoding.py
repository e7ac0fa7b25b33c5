"""Decode image files inside the graph, and compare with Pillow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnlab.base.tf1 import tf
from cnnlab.data.image_files.images import load_image
from cnnlab.export.decoding import decode_images

SIZE = 24


@pytest.fixture(scope="module")
def decode() -> Any:
    """A function that decodes files to 1 or 3 channels, with one graph for all tests."""
    graph = tf.Graph()
    with graph.as_default():
        bytes_ph = tf.placeholder(tf.string, [None])
        images = {n: decode_images(bytes_ph, (SIZE, SIZE, n)) for n in (1, 3)}
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


def test_a_file_without_an_image_is_an_error(decode: Any) -> None:
    Path("letter.txt").write_text("dear")
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
        decode(["letter.txt"], 3)
