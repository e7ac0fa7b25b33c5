"""Grey levels: the unit of pixels in the whole package, 0 (black) to 255 (white).

Images with a stated range (black, white) are converted where they are used: x becomes
255 (x - black) / (white - black). So scaling and augmentations need to know one unit only. uint8
images are grey levels as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.base.tf1 import tf
from cnnlab.data.specs import AS_GIVEN, ImageRange

WHITE = 255


def image_type(image_range: ImageRange | None) -> Any:
    """Return the TensorFlow type of images with this range; None: uint8."""
    return tf.uint8 if image_range is None else tf.float32


def grey_levels(images: Any, image_range: ImageRange | None) -> Any:
    """Return images in grey levels.

    Args:
        images: a tensor [batch, height, width, channels]: float32, in `image_range`. Without a
            range, uint8, which is returned unchanged.
        image_range: (black, white), or None. AS_GIVEN: the images are returned unchanged.
    """
    if image_range is None or image_range == AS_GIVEN:
        return images
    black, white = image_range
    return (images - black) * (WHITE / (white - black))


def in_range(images: Any, image_range: ImageRange | None) -> Any:
    """Return uint8 images as the network of this range takes them; the inverse of `grey_levels`.

    Args:
        images: uint8 [..., height, width, channels], a tensor or an array.
        image_range: (black, white), or None: they are returned unchanged.
    """
    if image_range is None:
        return images
    black, white = image_range
    if isinstance(images, np.ndarray):
        return images * np.float32((white - black) / WHITE) + np.float32(black)
    return tf.cast(images, tf.float32) * ((white - black) / WHITE) + black


def displayable_levels(
    images: npt.NDArray[Any], image_range: ImageRange | None
) -> npt.NDArray[np.uint8]:
    """Return images as uint8, rounded, to be displayed.

    Args:
        images: in `image_range`; without one uint8, or float32 grey levels.
        image_range: (black, white), or None.
    """
    if images.dtype == np.uint8:
        return images
    black, white = image_range or (0, WHITE)
    levels = (images - np.float32(black)) * np.float32(WHITE / (white - black))
    return np.clip(np.rint(levels), 0, WHITE).astype(np.uint8)
