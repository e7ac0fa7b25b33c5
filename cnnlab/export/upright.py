"""Turn photographs upright inside the graph, by the EXIF tag that cameras write into JPEG files.

Format: CIPA DC-008 (EXIF 2.3), section 4: a TIFF structure, after the bytes "Exif" and two zeros,
whose first directory has the tag Orientation. TensorFlow's decoder ignores it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnlab.base.tf1 import tf, tf2
from cnnlab.data.image_files.images import MIRRORED, ORIENTATION, TURNED

_HEAD_BYTES = 65_536  # EXIF is one of the first segments, and a segment is not longer
_MARK = b"Exif\0\0"
_ENTRY_BYTES = 12
_DIRECTORY_AT = 4  # the place in the TIFF structure that has the place of the directory
_FIRST_ENTRY = 2  # bytes after the start of the directory, which has the number of entries
_VALUE = 8  # the place in an entry that has its value


def orientation_of(content: Any) -> Any:
    """Return the orientation that a JPEG file states, int32 scalar from 1 to 8; 1: upright.

    Args:
        content: string scalar, the bytes of a JPEG file.
    """
    head = tf.strings.substr(content, 0, tf.minimum(tf.strings.length(content), _HEAD_BYTES))
    before = tf.strings.length(tf2.strings.split(head, _MARK, maxsplit=1)[0])
    start = tf.minimum(before + len(_MARK), tf.strings.length(head))  # the end without a mark
    tiff = tf.strings.substr(head, start, tf.strings.length(head) - start)
    values = tf.cast(tf.io.decode_raw(tiff, tf.uint8), tf.int32)
    values = tf.concat([values, tf.zeros([_ENTRY_BYTES], tf.int32)], axis=0)  # never empty
    last = tf.size(values) - 1
    is_little = tf.equal(values[0], ord("I"))

    def number(places: Any, size: int) -> Any:
        """Return the unsigned numbers of `size` bytes at some places; out of range counts as 0."""
        places = tf.convert_to_tensor(places)
        read = [tf.gather(values, tf.clip_by_value(places + i, 0, last)) for i in range(size)]
        little = tf.add_n([byte * 256**i for i, byte in enumerate(read)])
        big = tf.add_n([byte * 256**i for i, byte in enumerate(reversed(read))])
        return tf.where_v2(is_little, little, big)

    directory = tf.clip_by_value(number(_DIRECTORY_AT, 4), 0, last)
    entries = directory + _FIRST_ENTRY + _ENTRY_BYTES * tf.range(number(directory, 2))
    entries = tf.boolean_mask(entries, entries + _ENTRY_BYTES <= last)
    found = tf.boolean_mask(number(entries + _VALUE, 2), tf.equal(number(entries, 2), ORIENTATION))
    orientation = tf.concat([found, [1]], axis=0)[0]
    return tf.where_v2(tf.logical_and(orientation >= 1, orientation <= 8), orientation, 1)


def upright(image: Any, orientation: Any) -> Any:
    """Return an image as Pillow's `ImageOps.exif_transpose` turns it.

    Args:
        image: [height, width, channels].
        orientation: int32 scalar from 1 to 8.
    """
    image = tf.cond(is_one_of(orientation, TURNED), _turn(image), _same(image))
    for axis, mirrored in zip((1, 0), MIRRORED, strict=True):
        is_mirrored = is_one_of(orientation, mirrored)
        image = tf.cond(is_mirrored, _mirror(image, axis), _same(image))
    return image


def is_one_of(orientation: Any, some: Sequence[int]) -> Any:
    """Return whether an orientation is one of some, boolean scalar."""
    return tf.reduce_any(tf.equal(orientation, some))


def _turn(image: Any) -> Any:
    return lambda: tf.transpose(image, [1, 0, 2])


def _mirror(image: Any, axis: int) -> Any:
    return lambda: tf.reverse(image, [axis])


def _same(image: Any) -> Any:
    return lambda: image
