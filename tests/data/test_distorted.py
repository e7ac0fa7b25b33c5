"""The distorted digits against SciPy's interpolation, and their independence of the batch."""

import hashlib
import math

import numpy as np
import pytest
from scipy import ndimage

from cnnlab.data.distorted import _KEY, distort

IMAGES = np.random.default_rng(1).integers(0, 256, (1003, 9, 9, 1)).astype(np.uint8)


def test_an_image_is_rotated_scaled_and_shifted() -> None:
    raw = np.random.Philox(key=np.array([_KEY, 1], np.uint64)).random_raw(4) >> np.uint64(40)
    turn, size, *shift = raw / 2**24
    angle = 2 * math.atan((2 * turn - 1) * math.tan(math.pi / 8))
    matrix = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    matrix /= 0.7 + 0.5 * size
    middle = np.array([4, 4])
    offset = middle - matrix @ (middle + (2 * np.array(shift) - 1) * 4)
    padded = np.pad(IMAGES[0, :, :, 0].astype(float), 9)  # SciPy does not blend into the outside
    expected = ndimage.affine_transform(padded, matrix, offset + 9 - matrix @ [9, 9], order=1)
    found = distort(IMAGES[:1], stream=1)[0, :, :, 0]
    assert np.abs(found - expected[9:18, 9:18]).max() <= 0.51


def test_an_image_depends_on_its_place_only() -> None:
    whole = distort(IMAGES, stream=0)
    assert np.array_equal(whole[:5], distort(IMAGES[:5], stream=0))
    assert not np.array_equal(whole[:5], distort(IMAGES[:5], stream=1))
    # Its bits are part of results: a change of them needs another name.
    assert hashlib.sha256(whole.tobytes()).hexdigest()[:16] == "0ef60c7ebfea0d04"


@pytest.mark.parametrize("count", [0, 1])
def test_few_images(count: int) -> None:
    assert distort(IMAGES[:count], stream=0).shape == (count, 9, 9, 1)
