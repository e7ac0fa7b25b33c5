"""The pixels of the pictures."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFont

from cnnlab.run.tensorboard import pictures


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_mistakes_show_the_images_over_captions(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 10, 12, channels), np.uint8)
    labels = np.arange(8) % 3
    probabilities = np.roll(np.eye(3, dtype=np.float32)[labels], 1, axis=1)
    names = ["cat", "a dog with a very long name of its own", "bird"]
    sheet = pictures.draw_mistakes(
        images, labels, probabilities.argmax(axis=1), probabilities, names
    )
    zoom = 96 // 12
    pixels = np.asarray(sheet)
    for index in (0, 5, 7):
        row, column = divmod(index, 4)
        left, top = 8 + column * (96 + 8), 8 + row * (10 * zoom + 34 + 8)
        tile = pixels[top : top + 10 * zoom : zoom, left : left + 96 : zoom]
        expected = images[index, :, :, :1] if channels == 1 else images[index, :, :, :3]
        np.testing.assert_array_equal(tile, np.broadcast_to(expected, (10, 12, 3)))
        caption = pixels[top + 10 * zoom : top + 10 * zoom + 34, left : left + 96]
        assert (caption < 128).any()
        # The caption fits.
        assert (pixels[top : top + 10 * zoom + 34, left + 96 : left + 104] == 255).all()


def test_the_confusion_matrix_is_shaded_by_the_share_of_its_row() -> None:
    confusion = np.diag([50, 3, 7]) + np.array([[0, 50, 0], [0, 0, 0], [0, 0, 0]])
    names = ["airplane", "cat", "x"]
    picture = pictures.draw_confusion_matrix(confusion, names)
    pixels = np.asarray(picture)
    cell = 44
    margin = picture.width - 8 - 3 * cell
    for row in range(3):
        for column in range(3):
            corner = pixels[margin + row * cell + 3, margin + column * cell + 3]
            share = confusion[row, column] / confusion[row].sum()
            expected = 255 - share * (255 - np.array([8, 48, 107]))
            np.testing.assert_allclose(corner, expected, atol=1)
            inside = pixels[
                margin + row * cell + 8 : margin + (row + 1) * cell - 8,
                margin + column * cell + 4 : margin + (column + 1) * cell - 4,
            ]
            has_number = (inside != corner).any()
            assert has_number == bool(confusion[row, column])
    # There is a name before each row and above each column.
    for index in range(3):
        beside = pixels[margin + index * cell : margin + (index + 1) * cell, 30 : margin - 2]
        above = pixels[26 : margin - 2, margin + index * cell + 1 : margin + (index + 1) * cell]
        assert (beside < 128).any()
        assert (above < 128).any()


@pytest.mark.parametrize("letter", ["l", "o", "1"])
def test_small_letters_are_evenly_spaced(letter: str) -> None:
    """Letters on whole pixels would be up to half a pixel too near or too far from each other."""
    name, cell = letter * 40, 25
    picture = pictures.draw_confusion_matrix(np.eye(36, dtype=np.int64), [name] * 36)
    margin = picture.width - 8 - 36 * cell
    row = np.asarray(picture)[margin + 2 : margin + cell - 2, 24 : margin - 2, 0]
    inked = np.flatnonzero((row < 200).any(axis=0))
    expected = ImageFont.load_default(14 * 100).getlength(name) / 100
    assert abs((inked[-1] - inked[0] + 1) - expected) < 5


def test_a_large_matrix_stays_small_and_an_empty_one_is_drawn() -> None:
    picture = pictures.draw_confusion_matrix(np.eye(100, dtype=np.int64), ["name"] * 100)
    assert picture.width < 1000
    assert pictures.draw_confusion_matrix(np.zeros((2, 2), np.int64), ["a", "b"]).width > 88


def test_a_picture_value_is_a_png_of_its_size() -> None:
    value = pictures.picture_value("tag", Image.new("RGB", (30, 20), "red"))
    assert (value.tag, value.image.width, value.image.height) == ("tag", 30, 20)
    picture = Image.open(io.BytesIO(value.image.encoded_image_string))
    assert picture.size == (30, 20)
    assert picture.getpixel((3, 3)) == (255, 0, 0)
