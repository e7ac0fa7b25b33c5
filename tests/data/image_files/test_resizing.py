"""The ways to resize, compared with shapes whose places are known."""

import numpy as np
import pytest
from PIL import Image

from cnnlab.config.config import Config
from cnnlab.config.input_options import Resize
from cnnlab.config.options import build
from cnnlab.data.image_files.images import _shrink, load_image
from cnnlab.data.image_files.resizing import Resizing

WIDE = (20, 40)  # height, width


def halves() -> None:
    """Write a picture of 40 x 20 pixels: its left and right quarter black, its middle white."""
    pixels = np.zeros((*WIDE, 3), np.uint8)
    pixels[:, 10:30] = 255
    Image.fromarray(pixels).save("wide.png")


def test_stretch_keeps_all() -> None:
    halves()
    found = load_image("wide.png", (10, 10, 1), Resizing("stretch", "nearest"))[..., 0]
    assert (found[:, [0, 1, 8, 9]] == 0).all()
    assert (found[:, 3:7] == 255).all()


def test_crop_keeps_the_middle() -> None:
    halves()
    assert (load_image("wide.png", (10, 10, 3), Resizing("crop", "bilinear")) == 255).all()


def test_pad_keeps_the_aspect_ratio() -> None:
    Image.new("RGB", (40, 20), (9, 200, 30)).save("wide.png")
    found = load_image("wide.png", (11, 10, 3), Resizing("pad", "lanczos"))
    assert (found[[0, 1, 2, 8, 9, 10]] == 0).all()
    assert (found[3:8] == [9, 200, 30]).all()
    Image.new("RGB", (20, 40), (9, 200, 30)).save("high.png")
    found = load_image("high.png", (10, 10, 4), Resizing("pad"))
    assert (found[:, [0, 1, 7, 8, 9]] == 0).all()  # transparent
    assert (found[:, 2:7] == [9, 200, 30, 255]).all()


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_pictures_of_the_size_do_not_change(resize: str, interpolation: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (7, 5, 3), np.uint8)
    Image.fromarray(pixels).save("same.bmp")
    config = build(Config, {"resize": resize, "interpolation": interpolation})
    assert np.array_equal(load_image("same.bmp", (7, 5, 3), Resizing.of(config)), pixels)


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
def test_extreme_aspect_ratios(resize: str) -> None:
    Image.new("L", (3000, 1), 77).save("thin.png")
    found = load_image("thin.png", (8, 8, 1), Resizing(resize))  # type: ignore[arg-type]
    assert found.shape == (8, 8, 1)
    assert (found == 77).any()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
def test_jpeg_files_are_decoded_smaller_at_the_same_places(
    resize: Resize, orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    height, width = 203, 405  # not multiples of a divisor
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 40), np.cos(y / 30), np.sin((x + y) / 50)]
    pixels = np.uint8(127.5 + 120 * np.stack(waves, axis=2))
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save("waves.jpg", quality=98, subsampling=0, exif=exif)
    for shape in ((24, 31, 3), (13, 11, 3), (99, 80, 3)):
        resizing = Resizing(resize, "bicubic")
        with Image.open("waves.jpg") as file:
            smaller = _shrink(file, resizing, *shape[:2])
        found = load_image("waves.jpg", shape, resizing).astype(int)
        with monkeypatch.context() as patch:
            patch.setattr(Resizing, "divisor", lambda *_: 1)
            expected = load_image("waves.jpg", shape, resizing)
        assert smaller is not None
        assert smaller.divisor > 1
        assert np.abs(found - expected).mean() < 0.7, shape


def test_nearest_takes_pixels_of_the_file() -> None:
    Image.effect_noise((64, 64), 90).save("noise.jpg")
    found = load_image("noise.jpg", (8, 8, 1), Resizing("stretch", "nearest"))[..., 0]
    np.testing.assert_array_equal(found, np.asarray(Image.open("noise.jpg"))[4::8, 4::8])
