"""MNIST's digits, each distorted once and for all: rotated, scaled and shifted at random.

Jaderberg et al. 2015 (arXiv 1506.02025, section 4.1 and appendix A.4) compare networks with and
without a spatial transformer on such digits ("RTS"). Theirs have 42 x 42 pixels; here they keep
28 x 28, so parts of some digits are outside.

The images are the same on every machine and with every NumPy release, as those of
`cnnlab.data.shapes`: all randomness comes from raw bits of Philox, and all arithmetic is rounded
exactly.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

_KEY: Final = 0x4449_5354  # a different key makes a different data set
_CHUNK: Final = 1000  # images
_TANGENT: Final = np.float32(0.41421356)  # of 22.5 degrees: angles are within 45 degrees
_SCALES: Final = (np.float32(0.7), np.float32(1.2))
_MOST_SHIFT: Final = np.float32(4)  # pixels


def distort(images: npt.NDArray[np.uint8], *, stream: int) -> npt.NDArray[np.uint8]:
    """Rotate each image by up to 45 degrees, scale it by 0.7 to 1.2, and shift it.

    The shift is up to 4 pixels along each axis. What is outside an image is black. Between pixels
    the value is interpolated bilinearly.

    Args:
        images: uint8 [n, height, width, 1].
        stream: 0 for the training images, 1 for the test images.

    Returns:
        uint8, the same shape.
    """
    raw = np.random.Philox(key=np.array([_KEY, stream], np.uint64)).random_raw(4 * len(images))
    draws = (raw >> np.uint64(40)).astype(np.float32).reshape(-1, 4) / np.float32(1 << 24)
    distorted = np.empty_like(images)
    for start in range(0, len(images), _CHUNK):
        part = slice(start, start + _CHUNK)
        distorted[part, :, :, 0] = _distort(images[part, :, :, 0], draws[part])
    return distorted


def _distort(images: npt.NDArray[np.uint8], draws: Any) -> npt.NDArray[np.uint8]:
    """Distort images uint8 [n, height, width] as random numbers say, float32 [n, 4] in [0, 1)."""
    count, height, width = images.shape
    one, two = np.float32(1), np.float32(2)
    # The tangent of half the angle gives its sine and cosine without a function that processors
    # round differently.
    tangent = (two * draws[:, 0] - one) * _TANGENT
    square = tangent * tangent
    scale = _SCALES[0] + draws[:, 1] * (_SCALES[1] - _SCALES[0])
    cosine, sine = (one - square) / (one + square) / scale, two * tangent / (one + square) / scale
    shift = (two * draws[:, 2:] - one) * _MOST_SHIFT
    middle_y, middle_x = (np.float32((length - 1) / 2) for length in (height, width))
    rows, columns = np.indices((height, width), np.float32).reshape(2, -1)  # [pixels]
    y = rows - middle_y - shift[:, :1]  # [n, pixels]
    x = columns - middle_x - shift[:, 1:]
    source_y = cosine[:, None] * y + sine[:, None] * x + middle_y
    source_x = cosine[:, None] * x - sine[:, None] * y + middle_x
    top, left = np.floor(source_y), np.floor(source_x)
    down, right = source_y - top, source_x - left
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1))).astype(np.float32)  # a black edge
    edge = width + 2
    first = np.arange(count, dtype=np.int32)[:, None] * ((height + 2) * edge)
    found = np.zeros_like(y)
    for step_y, share_y in ((0, one - down), (1, down)):
        for step_x, share_x in ((0, one - right), (1, right)):
            row = np.clip(top.astype(np.int32) + 1 + step_y, 0, height + 1)
            column = np.clip(left.astype(np.int32) + 1 + step_x, 0, width + 1)
            found += padded.take(first + row * edge + column) * (share_y * share_x)
    return np.rint(found).astype(np.uint8).reshape(images.shape)
