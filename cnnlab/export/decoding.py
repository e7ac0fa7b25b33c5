"""Decode image files inside the graph: from their bytes to the input of a network.

The result is that of `cnnlab.data.image_files.images`, which uses Pillow. It is bit-identical if
the file has the size that the network needs, and within a few levels of 255 if it is resized. Both
shrink large JPEG files while they decode them. Files of 16 bits differ by one level, because
TensorFlow cuts off the lower 8 bits. Two differences are larger: TensorFlow does not paint the
transparent pixels of a GIF white, and it does not turn a PNG file by its EXIF tag. It reads no WebP
and no TIFF files.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnlab.base.tf1 import tf
from cnnlab.data.image_files.images import INVISIBLE, MIRRORED, TURNED
from cnnlab.data.image_files.resizing import DIVISORS, Resizing
from cnnlab.export.upright import is_one_of, orientation_of, upright

_KERNELS = {"bilinear": "triangle", "bicubic": "keyscubic", "lanczos": "lanczos3"}


class _Whole(NamedTuple):
    """What an image is a copy of, as `Shrunk` has it, but first down and then across.

    size: int64 [2], height and width of the picture in its file, upright (pixels).
    divisor: int32 scalar, by how much the copy is smaller.
    start: float32 [2], where the picture begins in the copy (pixels).
    """

    size: Any
    divisor: Any
    start: Any


class _Part(NamedTuple):
    """The part of a picture that is resized, and its new size, int64 [2], down and across."""

    start: Any
    end: Any
    new: Any


def decode_images(image_bytes: Any, image_shape: tuple[int, int, int], resizing: Resizing) -> Any:
    """Add the operations that decode PNG, JPEG, BMP and GIF files (the first frame).

    Args:
        image_bytes: string [batch], the contents of the files.
        image_shape: (height, width, channels), channels 1 or 3.
        resizing: how images of another size are resized.

    Returns:
        uint8 [batch, height, width, channels], range [0, 255].
    """
    images = tf.map_fn(
        lambda content: _decode(content, image_shape, resizing),
        image_bytes,
        dtype=tf.uint8,
        name="decode",
    )
    return tf.ensure_shape(images, [None, *image_shape])


def _decode(content: Any, image_shape: tuple[int, int, int], resizing: Resizing) -> Any:
    """Decode one file, a string scalar, to uint8 [height, width, channels]."""
    channels = image_shape[2]
    decoded, whole = tf.cond(
        tf.io.is_jpeg(content),
        lambda: _decode_jpeg(content, image_shape, resizing),
        lambda: _not_shrunk(tf.io.decode_image(content, expand_animations=False)),
    )  # [h, w, 1 to 4]
    decoded = tf.ensure_shape(tf.cast(decoded, tf.int32), [None, None, None])
    depth = tf.shape(decoded)[2]
    has_alpha = 1 - depth % 2  # grey and alpha, or RGB and alpha
    colours = decoded[:, :, : depth - has_alpha]
    alpha = tf.where_v2(tf.equal(has_alpha, 1), decoded[:, :, -1:], 255)
    on_white = (colours * alpha + 255 * (255 - alpha) + 127) // 255
    on_black = (colours * alpha + 127) // 255
    is_invisible = tf.logical_and(
        tf.reduce_min(_luma(on_white)) >= INVISIBLE, tf.reduce_max(alpha) > 0
    )
    plain = _three_channels(tf.where_v2(is_invisible, on_black, on_white))
    if channels == 1:
        plain = _luma(plain)
    return _resized(plain, whole, image_shape, resizing)


def _decode_jpeg(
    content: Any, image_shape: tuple[int, int, int], resizing: Resizing
) -> tuple[Any, _Whole]:
    """Decode a JPEG file upright, and smaller if it will be resized to much less."""
    orientation = orientation_of(content)
    size = tf.cast(tf.io.extract_jpeg_shape(content)[:2], tf.int64)
    size = tf.where_v2(is_one_of(orientation, TURNED), size[::-1], size)
    place = _place_of_divisor(_part(size, image_shape, resizing), resizing)
    decoded = tf.switch_case(place, [_decode_by(content, divisor) for divisor in DIVISORS])
    image, divisor = upright(decoded, orientation), tf.gather(tf.constant(DIVISORS), place)
    is_mirrored = tf.stack([is_one_of(orientation, some) for some in reversed(MIRRORED)])
    unfilled = _pixels_of(image) - _quotient(size, divisor)
    return image, _Whole(size, divisor, tf.where_v2(is_mirrored, unfilled, 0.0))


def _decode_by(content: Any, divisor: int) -> Any:
    # As Pillow does. TensorFlow's faster default differs by up to 15 of 255.
    return lambda: tf.io.decode_jpeg(content, ratio=divisor, dct_method="INTEGER_ACCURATE")


def _not_shrunk(image: Any) -> tuple[Any, _Whole]:
    return image, _Whole(tf.shape(image, out_type=tf.int64)[:2], tf.constant(1), tf.zeros([2]))


def _part(size: Any, image_shape: tuple[int, int, int], resizing: Resizing) -> _Part:
    """Return what `Resizing.part` does."""
    height, width, _ = image_shape
    down, across = tf.unstack(size)
    is_wide = across * height > down * width  # compared with the network's input
    start, new = tf.zeros([2], tf.int64), tf.constant([height, width], tf.int64)
    part = size
    if resizing.resize == "crop":
        narrower = tf.stack([down, _rounded(down * width, height)])
        lower = tf.stack([_rounded(across * height, width), across])
        part = tf.where_v2(is_wide, narrower, lower)
        start = (size - part) // 2
    elif resizing.resize == "pad":
        lower = tf.stack([_rounded(down * width, across), tf.constant(width, tf.int64)])
        narrower = tf.stack([tf.constant(height, tf.int64), _rounded(across * height, down)])
        new = tf.where_v2(is_wide, lower, narrower)
    return _Part(start, start + part, new)


def _place_of_divisor(part: _Part, resizing: Resizing) -> Any:
    """Return the index, in DIVISORS, of what `Resizing.divisor` returns, int32 scalar."""
    if resizing.interpolation == "nearest":
        return tf.constant(0)
    factor = tf.reduce_min((part.end - part.start) // part.new)
    return tf.reduce_sum(tf.cast(factor >= tf.constant(DIVISORS[1:], tf.int64), tf.int32))


def _resized(
    image: Any, whole: _Whole, image_shape: tuple[int, int, int], resizing: Resizing
) -> Any:
    """Resize an int32 image as `Resizing.apply` does; return uint8 [height, width, channels]."""
    height, width, channels = image_shape
    part, full = _part(whole.size, image_shape, resizing), tf.constant([height, width], tf.int64)
    start = whole.start + _quotient(part.start, whole.divisor)
    end = whole.start + _quotient(part.end, whole.divisor)
    first, last = (tf.cast(place, tf.int32) for place in (tf.floor(start), tf.math.ceil(end)))
    image = image[first[0] : last[0], first[1] : last[1]]
    if resizing.interpolation == "nearest":
        levels = _nearest(image, part.new)
    else:
        levels = _filtered(image, start - tf.floor(start), end - start, part.new, resizing)
    if resizing.resize == "pad":
        (down, across), (above, left) = (
            tf.unstack(some) for some in (part.new, (full - part.new) // 2)
        )
        sides = [[above, height - down - above], [left, width - across - left], [0, 0]]
        levels = tf.pad(levels, sides)
    return tf.ensure_shape(levels, [height, width, channels])


def _nearest(image: Any, size: Any) -> Any:
    """Return an int32 image in another size, uint8: of each place the pixel at its centre."""
    for axis in (0, 1):
        n_in, n_out = tf.shape(image, out_type=tf.int64)[axis], size[axis]
        image = tf.gather(image, (2 * tf.range(n_out) + 1) * n_in // (2 * n_out), axis=axis)
    return tf.cast(image, tf.uint8)


def _filtered(image: Any, start: Any, length: Any, size: Any, resizing: Resizing) -> Any:
    """Return the part of an int32 image that begins at `start`, in another size, uint8.

    Args:
        image: [h, w, channels].
        start, length: float32 [2], down and across (pixels).
        size: int64 [2], the new height and width.
        resizing: says which filter.
    """
    scale = tf.cast(size, tf.float32) / length
    resized = tf.raw_ops.ScaleAndTranslate(
        images=image[None],
        size=tf.cast(size, tf.int32),
        scale=scale,
        translation=-start * scale,
        kernel_type=_KERNELS[resizing.interpolation],
        antialias=True,
    )[0]
    return tf.cast(tf.clip_by_value(tf.floor(resized + 0.5), 0, 255), tf.uint8)


def _pixels_of(image: Any) -> Any:
    """Return height and width of an image, float32 [2]."""
    return tf.cast(tf.shape(image)[:2], tf.float32)


def _quotient(places: Any, divisor: Any) -> Any:
    """Return places in a picture as places in its smaller copy, float32 [2]."""
    return tf.cast(places, tf.float32) / tf.cast(divisor, tf.float32)


def _rounded(numerator: Any, denominator: Any) -> Any:
    """Return the quotient rounded to the nearest integer, halves up, and at least 1."""
    denominator = tf.cast(denominator, tf.int64)
    return tf.maximum((2 * numerator + denominator) // (2 * denominator), 1)


def _three_channels(image: Any) -> Any:
    """Return an image of 1 or 3 channels as int32 [height, width, 3]."""
    return tf.tile(image, [1, 1, 3 // tf.shape(image)[2]])


def _luma(image: Any) -> Any:
    """Return ITU-R 601-2 luma in 16-bit fixed point as in Pillow, int32 [height, width, 1]."""
    weights = tf.constant([19595, 38470, 7471])
    luma = tf.reduce_sum(_three_channels(image) * weights, axis=2, keepdims=True)
    return (luma + 0x8000) // 0x10000
