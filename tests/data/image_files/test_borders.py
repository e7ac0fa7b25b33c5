"""Backgrounds: dark, light or neither; no false alarms on photographs and shapes."""

import numpy as np
import pytest

from cnnlab.data.arrays import dataset_from_arrays
from cnnlab.data.image_files.borders import background_of, inverted, is_opposite
from cnnlab.data.shapes import draw_shapes
from cnnlab.data.specs import DATASETS


def digits(count: int, channels: int = 1) -> np.ndarray:
    """Return light squares on black that touch no border, uint8 [count, 8, 8, channels]."""
    images = np.zeros((count, 8, 8, channels), np.uint8)
    images[:, 2:6, 2:6] = 250
    return images


def test_dark_light_and_neither() -> None:
    assert background_of(digits(40), None) == "dark"
    assert background_of(inverted(digits(40)), None) == "light"
    assert background_of(digits(40).astype(np.float32) / 250 * 2 - 1, (-1.0, 1.0)) == "dark"
    mixed = digits(40)
    mixed[:2, 0] = 255  # a line at one side: 8 of 28 border pixels
    assert background_of(mixed, None) == "dark"
    mixed[:3] = 255  # 3 of 40 images
    assert background_of(mixed, None) is None


def test_photographs_and_shapes_have_neither() -> None:
    rng = np.random.default_rng(0)
    skies = np.full((500, 8, 8, 3), 1, np.uint8) * rng.integers(0, 256, (500, 1, 1, 3), np.uint8)
    assert background_of(skies, None) is None
    assert background_of(draw_shapes(1000, stream=0)[0], None) is None
    backgrounds = {name: spec.background for name, spec in DATASETS.items()}
    assert backgrounds == {
        **dict.fromkeys(("cifar10", "cifar100", "shapes")),
        **dict.fromkeys(("mnist", "fashion_mnist", "mnist_distorted"), "dark"),
    }


def test_arrays_have_a_background() -> None:
    pair = (digits(20), np.arange(20) % 2)
    assert dataset_from_arrays(pair, pair).spec.background == "dark"


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_opposite_and_inverted(channels: int) -> None:
    images = digits(3, channels)
    images[1] = inverted(images)[1]
    assert is_opposite(images, "dark").tolist() == [False, True, False]
    assert is_opposite(images, "light").tolist() == [True, False, True]
    twice = inverted(inverted(images))
    np.testing.assert_array_equal(twice, images)
    if channels == 4:
        np.testing.assert_array_equal(inverted(images)[..., 3], images[..., 3])
