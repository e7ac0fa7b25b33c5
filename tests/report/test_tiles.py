"""Pixels of images, weights, feature maps and heat maps."""

import io

import numpy as np
from PIL import Image

from cnnlab.report.tiles import (
    enlarged,
    heat_pixels,
    image_pixels,
    map_pixels,
    montage,
    overlay_pixels,
    png_bytes,
    slice_pixels,
    weight_tiles,
)


def test_images_and_png() -> None:
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    pixels = image_pixels(grey)
    np.testing.assert_array_equal(pixels, np.stack([grey[..., 0]] * 3, axis=2))
    with Image.open(io.BytesIO(png_bytes(pixels))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
    assert enlarged(pixels, 7).shape == (6, 9, 3)
    np.testing.assert_array_equal(enlarged(pixels, 7)[::3, ::3], pixels)


def test_montage_is_in_reading_order() -> None:
    tiles = np.stack([np.full((2, 2, 3), value, np.uint8) for value in (10, 20, 30)])
    sheet = montage(tiles, columns=2, between=255)
    assert sheet[:, :, 0].tolist() == [
        [10, 10, 255, 20, 20],
        [10, 10, 255, 20, 20],
        [255, 255, 255, 255, 255],
        [30, 30, 255, 255, 255],
        [30, 30, 255, 255, 255],
    ]


def test_weights_are_scaled_each_by_itself() -> None:
    weights = np.zeros((1, 2, 3, 2), np.float32)
    weights[0, 0, :, 0] = [4, -4, 0]
    weights[0, 1, :, 1] = [0, 0.5, 0.25]
    tiles = weight_tiles(weights)
    assert tiles[0, 0].tolist() == [[255, 0, 128], [128, 128, 128]]
    assert tiles[1, 0].tolist() == [[128, 128, 128], [128, 255, 191]]
    red, white, blue = weight_tiles(np.array([[[[1.0]], [[0]], [[-1]]]]))[0, 0].astype(int)
    assert red[0] > red[2] + 50
    assert min(white) > 240
    assert blue[2] > blue[0] + 50


def test_slices_of_filters() -> None:
    weights = np.zeros((1, 2, 2, 3), np.float32)  # two channels, three filters
    weights[0, :, 1, 2] = [4, -4]  # the second row, the third column
    pixels = slice_pixels(weights).astype(int)
    assert pixels.shape == (3, 8, 3)
    assert pixels[2, 6, 0] > pixels[2, 6, 2] + 50  # red
    assert pixels[2, 7, 2] > pixels[2, 7, 0] + 50  # blue
    assert pixels[0, [0, 1, 3, 4, 6, 7]].min() > 240


def test_feature_maps() -> None:
    assert map_pixels(np.zeros((4, 4, 70), np.float32)).shape == (4 * 5 - 1, 8 * 5 - 1, 3)
    assert map_pixels(np.arange(40, dtype=np.float32)).shape == (2, 32, 3)
    ramp = map_pixels(np.arange(10, dtype=np.float32)).astype(int)
    assert ramp[0, 9].sum() > ramp[0, 0].sum()  # from dark to bright


def test_heat_maps() -> None:
    heat = np.zeros((8, 8), np.float32)
    assert (heat_pixels(heat) == heat_pixels(heat)[0, 0]).all()  # all zero: no division by zero
    heat[2, 3] = 1
    image = np.full((16, 16, 3), 100, np.uint8)
    warm = overlay_pixels(image, heat).astype(int)
    redness = warm[..., 0] - warm[..., 2]
    row, column = np.unravel_index(redness.argmax(), redness.shape)
    assert (row // 2, column // 2) == (2, 3)
