"""Backgrounds: whether the borders of images are dark or light.

The border of an image is its outermost ring of pixels; its brightness is the mean over them, from 0
(black) to 1 (white). A training set has a dark background if the borders of 95% of its images are
darker than 1/4, and a light one if they are lighter than 3/4. Photographs, as in CIFAR-10, have
neither. An image to predict has the opposite background if its border is on the other side of 1/2.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cnnlab.data.specs import AS_GIVEN, Background, ImageRange

# That decide about a training set, evenly spaced in it.
MOST_IMAGES = 1000
MOST_BYTES = 2**26
SHARE = 0.95
DARK, LIGHT = 0.25, 0.75
OPPOSITE: Final[dict[Background, Background]] = {"dark": "light", "light": "dark"}


def background_of(images: npt.NDArray[Any], image_range: ImageRange | None) -> Background | None:
    """Return the background of a training set; None: it has neither.

    Args:
        images: [n, height, width, channels].
        image_range: (black, white); None: 0 and 255.
    """
    if image_range == AS_GIVEN:
        return None
    most = max(1, min(MOST_IMAGES, MOST_BYTES // math.prod(images.shape[1:])))
    some = np.asarray(images[:: max(1, len(images) // most)])
    black, white = image_range or (0, 255)
    brightness = (_border_means(some) - black) / (white - black)
    if (brightness < DARK).mean() >= SHARE:
        return "dark"
    return "light" if (brightness > LIGHT).mean() >= SHARE else None


def is_opposite(images: npt.NDArray[np.uint8], background: Background) -> npt.NDArray[np.bool_]:
    """Return for each image whether its background is opposite to that of the training set.

    Args:
        images: [n, height, width, channels].
        background: that of the training set.
    """
    brightness = _border_means(images) / 255
    return np.asarray(brightness > 0.5 if background == "dark" else brightness < 0.5)


def inverted(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the images with light and dark swapped; the transparency of RGBA images stays."""
    swapped = 255 - images
    if images.shape[3] == 4:
        swapped[..., 3] = images[..., 3]
    return swapped


def _border_means(images: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the mean over the border of each image, float64 [n]; transparency does not count."""
    pixels = images[..., :3].astype(np.float64)
    sides = (pixels[:, 0], pixels[:, -1], pixels[:, 1:-1, 0], pixels[:, 1:-1, -1])
    ring = np.concatenate([side.reshape(len(images), -1) for side in sides], axis=1)
    return np.asarray(ring.mean(axis=1))
