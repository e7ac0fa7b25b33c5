"""Decode image files inside the graph: from their bytes to the input of a network.

The result is that of `cnnlab.data.image_files.images`, which uses Pillow. It is bit-identical if
the file has the size that the network needs, and within a few levels of 255 if it is resized. Files
of 16 bits differ by one level, because TensorFlow cuts off the lower 8 bits. Two differences are
larger: TensorFlow does not paint the transparent pixels of a GIF white, and it does not turn a PNG
file by its EXIF tag. It reads no WebP and no TIFF files.
"""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf, tf2
from cnnlab.data.image_files.images import INVISIBLE
from cnnlab.data.image_files.resizing import Resizing
from cnnlab.export.upright import orientation_of, upright

_METHODS = {"lanczos": "lanczos3"}  # TensorFlow's names where they differ from Pillow's


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
    decoded = tf.cond(
        tf.io.is_jpeg(content),
        # As Pillow does. TensorFlow's faster default differs by up to 15 of 255.
        lambda: upright(
            tf.io.decode_jpeg(content, dct_method="INTEGER_ACCURATE"), orientation_of(content)
        ),
        lambda: tf.io.decode_image(content, expand_animations=False),
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
    return _resized(plain, image_shape, resizing)


def _resized(image: Any, image_shape: tuple[int, int, int], resizing: Resizing) -> Any:
    """Resize an int32 image as `Resizing.apply` does; return uint8 [height, width, channels]."""
    height, width, channels = image_shape
    down, across = (tf.cast(side, tf.int64) for side in tf.unstack(tf.shape(image)[:2]))
    is_wide = across * height > down * width  # compared with the network's input
    full_down, full_across = tf.constant(height, tf.int64), tf.constant(width, tf.int64)
    if resizing.resize == "crop":
        part_down = tf.where_v2(is_wide, down, _rounded(across * height, width))
        part_across = tf.where_v2(is_wide, _rounded(down * width, height), across)
        top, left = (down - part_down) // 2, (across - part_across) // 2
        image = image[top : top + part_down, left : left + part_across]
    elif resizing.resize == "pad":
        full_down = tf.where_v2(is_wide, _rounded(down * width, across), full_down)
        full_across = tf.where_v2(is_wide, full_across, _rounded(across * height, down))
    levels = _sampled(image, full_down, full_across, resizing.interpolation)
    if resizing.resize == "pad":
        above, left = (height - full_down) // 2, (width - full_across) // 2
        sides = [[above, height - full_down - above], [left, width - full_across - left], [0, 0]]
        levels = tf.pad(levels, sides)
    return tf.ensure_shape(levels, [height, width, channels])


def _sampled(image: Any, height: Any, width: Any, interpolation: str) -> Any:
    """Return an int32 image in another size, uint8."""
    if interpolation == "nearest":
        for axis, n_out in enumerate((height, width)):
            n_in = tf.shape(image, out_type=tf.int64)[axis]
            image = tf.gather(image, (2 * tf.range(n_out) + 1) * n_in // (2 * n_out), axis=axis)
        return tf.cast(image, tf.uint8)
    size = tf.cast(tf.stack([height, width]), tf.int32)
    method = _METHODS.get(interpolation, interpolation)
    resized = tf2.image.resize(image, size, method=method, antialias=True)
    return tf.cast(tf.clip_by_value(tf.floor(resized + 0.5), 0, 255), tf.uint8)


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
