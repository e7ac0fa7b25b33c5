"""The `shapes` data set: simple shapes that the program draws, so nothing is downloaded.

Every image shows one shape of its class, at a random position and size and slightly rotated. The
shape has a random colour; the background has another, with a gradient. Two small discs and noise
distract. Colour and position say nothing about the class. So a linear model does badly, while a
small CNN learns the classes in a few hundred steps.

The images are the same on every machine and with every NumPy release. All randomness comes from raw
bits of Philox, which NumPy keeps fixed. All arithmetic uses operations that IEEE 754 rounds
exactly; a sine, for example, would depend on the processor.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cnnlab.data.specs import SHAPES_CLASSES

_Floats = npt.NDArray[Any]  # float32

SIDE: Final = 32  # pixels
_KEY: Final = 0x5348_4150  # a different key makes a different data set
_NUM_UNIFORMS: Final = 20  # random numbers per image
_HALF_SQRT2: Final = np.float32(0.70710678)


def draw_shapes(
    num_images: int, *, stream: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Draw images of all classes in random order; class sizes differ by at most one.

    Args:
        num_images: >= 1.
        stream: 0 for the training images, 1 for the test images.

    Returns:
        images: uint8 [num_images, 32, 32, 3].
        labels: int32 [num_images], indices into SHAPES_CLASSES.
    """
    bits = np.random.Philox(key=np.array([_KEY, stream], np.uint64))
    order = np.argsort(bits.random_raw(num_images), kind="stable")
    labels = (order % len(SHAPES_CLASSES)).astype(np.int32)
    raw = bits.random_raw(num_images * _NUM_UNIFORMS) >> np.uint64(40)
    uniforms = raw.astype(np.float32).reshape(num_images, _NUM_UNIFORMS) / np.float32(1 << 24)
    images = np.empty((num_images, SIDE, SIDE, 3), np.uint8)
    for label in range(len(SHAPES_CLASSES)):
        chosen = np.flatnonzero(labels == label)
        images[chosen] = _draw(label, uniforms[chosen], _noise(bits, len(chosen)))
    return images, labels


def _noise(bits: np.random.Philox, num_images: int) -> _Floats:
    """Return triangular noise [n, 32, 32, 3] with mean 0 and standard deviation 13."""
    raw = bits.random_raw(num_images * SIDE * SIDE * 3 // 4)  # 8 bytes each, 2 bytes per value
    pairs = raw.astype("<u8").view(np.uint8).reshape(2, num_images, SIDE, SIDE, 3)
    noise: _Floats = pairs[0].astype(np.float32) + pairs[1] - np.float32(255)
    return noise * np.float32(0.125)


def _draw(label: int, uniforms: _Floats, noise: _Floats) -> npt.NDArray[np.uint8]:
    """Draw one image per row of `uniforms` [n, 20]: uint8 [n, 32, 32, 3]."""
    u = uniforms[:, :, None, None]  # [n, 20, 1, 1]
    steps = (np.arange(SIDE, dtype=np.float32) + np.float32(0.5)) / np.float32(SIDE / 2) - 1
    x, y = steps[None, None, :], steps[None, :, None]  # [-1, 1] across the image, y downwards

    background = uniforms[:, None, None, 0:3] * 256
    # Differs from the background by at least 80 in every channel.
    colour = (background + 80 + uniforms[:, None, None, 3:6] * 96) % 256
    shade = (u[:, 6] - np.float32(0.5)) * x + (u[:, 7] - np.float32(0.5)) * y
    pixels = background + (shade * 80)[..., None]  # [n, 32, 32, 3]

    for first in (8, 11):  # the two distracting discs: x, y, grey value
        centre_x, centre_y = (u[:, first + i] * 2 - 1 for i in range(2))
        distance = np.sqrt((x - centre_x) ** 2 + (y - centre_y) ** 2) - np.float32(0.12)
        pixels = _blend(pixels, u[:, first + 2, ..., None] * 256, distance)

    size = np.float32(0.4) + u[:, 14] * np.float32(0.25)
    room = np.float32(0.95) - size
    dx, dy = x - (u[:, 15] * 2 - 1) * room, y - (u[:, 16] * 2 - 1) * room
    # A rotation by at most 15 degrees, computed from the tangent of half the angle.
    tangent = (u[:, 17] * 2 - 1) * np.float32(0.13)
    norm = (1 + tangent * tangent) * size
    cosine, sine = (1 - tangent * tangent) / norm, 2 * tangent / norm
    outline = _OUTLINES[SHAPES_CLASSES[label]](dx * cosine + dy * sine, dy * cosine - dx * sine)
    pixels = _blend(pixels, colour, outline * size)
    drawn: npt.NDArray[np.uint8] = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    return drawn


def _blend(pixels: _Floats, colour: _Floats, distance: _Floats) -> _Floats:
    """Paint `colour` where `distance` [n, 32, 32] to an outline is negative, with soft edges."""
    cover = np.clip(np.float32(0.5) - distance * (SIDE // 2), 0, 1)[..., None]
    return pixels + (colour - pixels) * cover


# Outlines: functions of x, y (in units of the shape's size) that return approximately the signed
# distance to the outline, negative inside.


def _circle(x: _Floats, y: _Floats) -> _Floats:
    radius: _Floats = np.sqrt(x * x + y * y)
    return radius - 1


def _ring(x: _Floats, y: _Floats) -> _Floats:
    return np.abs(_circle(x, y) + np.float32(0.22)) - np.float32(0.22)


def _square(x: _Floats, y: _Floats) -> _Floats:
    return np.maximum(np.abs(x), np.abs(y)) - np.float32(0.85)


def _frame(x: _Floats, y: _Floats) -> _Floats:
    return np.abs(_square(x, y) + np.float32(0.2)) - np.float32(0.2)


def _triangle(x: _Floats, y: _Floats) -> _Floats:
    slopes = np.abs(x) * np.float32(0.875) - y * np.float32(0.5)
    return np.maximum(slopes, y) - np.float32(0.5)


def _diamond(x: _Floats, y: _Floats) -> _Floats:
    return (np.abs(x) + np.abs(y)) * _HALF_SQRT2 - np.float32(0.75)


def _cross(x: _Floats, y: _Floats) -> _Floats:
    across: _Floats = np.minimum(np.abs(x), np.abs(y))
    along: _Floats = np.maximum(np.abs(x), np.abs(y))
    outline: _Floats = np.maximum(across - np.float32(0.25), along - 1)
    return outline


def _saltire(x: _Floats, y: _Floats) -> _Floats:
    return _cross((x + y) * _HALF_SQRT2, (x - y) * _HALF_SQRT2)


def _crescent(x: _Floats, y: _Floats) -> _Floats:
    return np.maximum(_circle(x, y), np.float32(-0.15) - _circle(x - np.float32(0.45), y))


def _bars(x: _Floats, y: _Floats) -> _Floats:
    return np.maximum(
        np.abs(x) - np.float32(0.9), np.abs(np.abs(y) - np.float32(0.55)) - np.float32(0.25)
    )


_OUTLINES: Final[dict[str, Callable[[_Floats, _Floats], _Floats]]] = {
    "circle": _circle,
    "ring": _ring,
    "square": _square,
    "frame": _frame,
    "triangle": _triangle,
    "diamond": _diamond,
    "cross": _cross,
    "saltire": _saltire,
    "crescent": _crescent,
    "bars": _bars,
}
