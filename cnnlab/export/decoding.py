"""Decode image files inside the graph: from their bytes to the input of a network.

The result is that of `cnnlab.data.image_files.images`, which uses Pillow. It is bit-identical if
the file has the size that the network needs, and within a few levels of 255 if it is resized. Two
differences are larger: TensorFlow ignores EXIF tags, and does not paint the transparent pixels of a
GIF white.
"""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf, tf2
from cnnlab.data.image_files.images import INVISIBLE


def decode_images(image_bytes: Any, image_shape: tuple[int, int, int]) -> Any:
    """Add the operations that decode PNG, JPEG, BMP and GIF files (the first frame).

    Args:
        image_bytes: string [batch], the contents of the files.
        image_shape: (height, width, channels), channels 1 or 3.

    Returns:
        uint8 [batch, height, width, channels], range [0, 255].
    """
    images = tf.map_fn(
        lambda content: _decode(content, image_shape), image_bytes, dtype=tf.uint8, name="decode"
    )
    return tf.ensure_shape(images, [None, *image_shape])


def _decode(content: Any, image_shape: tuple[int, int, int]) -> Any:
    """Decode one file, a string scalar, to uint8 [height, width, channels]."""
    height, width, channels = image_shape
    decoded = tf.cond(
        tf.io.is_jpeg(content),
        # As Pillow does. TensorFlow's faster default differs by up to 15 of 255.
        lambda: tf.io.decode_jpeg(content, dct_method="INTEGER_ACCURATE"),
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
    resized = tf2.image.resize(plain, [height, width], method="bicubic", antialias=True)
    return tf.cast(tf.clip_by_value(tf.floor(resized + 0.5), 0, 255), tf.uint8)


def _three_channels(image: Any) -> Any:
    """Return an image of 1 or 3 channels as int32 [height, width, 3]."""
    return tf.tile(image, [1, 1, 3 // tf.shape(image)[2]])


def _luma(image: Any) -> Any:
    """Return ITU-R 601-2 luma in 16-bit fixed point as in Pillow, int32 [height, width, 1]."""
    weights = tf.constant([19595, 38470, 7471])
    luma = tf.reduce_sum(_three_channels(image) * weights, axis=2, keepdims=True)
    return (luma + 0x8000) // 0x10000
