"""Images of arrays: uint8, or numbers of a stated range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import DataError
from cnnlab.data.row_images import RowImages
from cnnlab.data.specs import ImageRange

_NARROWEST_BYTES = 4  # narrower integers than these, but uint8, have another white than 255


def checked_range(image_range: Sequence[float] | None) -> ImageRange | None:
    """Return the range of the images as two floats, (black, white); None: uint8.

    Raises:
        DataError: it is not two finite numbers, the lower first.
    """
    if image_range is None:
        return None
    try:
        low, high = map(float, image_range)
    except (TypeError, ValueError):
        low = high = np.nan
    if not np.float32(low) < np.float32(high) or not np.isfinite([low, high]).all():
        raise DataError(
            f"image_range={image_range!r} is not two numbers, black and white: the lower first, "
            "as in (0, 1)"
        )
    return low, high


def pixels_of(which: str, images_like: npt.ArrayLike, image_range: ImageRange | None) -> Any:
    """Return images as [n, height, width, channels]: uint8, or float32 in `image_range`.

    Args:
        which: the name of the images in errors.
        images_like: uint8 images, or integers of 32 or 64 bits that are all in 0..255. With an
            image_range, any numbers in it.
        image_range: (black, white); None: uint8, 0 to 255.

    Raises:
        DataError: wrong type, range or shape.
    """
    if isinstance(images_like, RowImages):  # checked when they are read
        return images_like
    images = array_of(f"{which} images", images_like)
    images = _bytes(which, images) if image_range is None else _floats(which, images, image_range)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3, 4) or 0 in images.shape[1:]:
        raise DataError(
            f"{which} images have shape {images.shape}, expected [n, height, width] or "
            f"[n, height, width, channels] with 1, 3 or 4 channels"
        )
    return np.ascontiguousarray(images)


def array_of(name: str, array_like: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return an array.

    Raises:
        DataError: the values have no common shape; calls them by `name`.
    """
    try:
        return np.asarray(array_like)
    except ValueError as error:  # lists of different lengths
        raise DataError(f"the {name} are no array: give all of them one shape") from error


def _bytes(which: str, images: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    is_wide = images.dtype.kind in "iu" and images.dtype.itemsize >= _NARROWEST_BYTES
    if is_wide and images.size and images.min() >= 0 and images.max() <= 255:
        images = images.astype(np.uint8)
    if images.dtype != np.uint8:
        raise DataError(
            f"{which} images are {images.dtype}, expected uint8 in 0..255: {_cure(images)}"
        )
    return images


def _floats(
    which: str, images: npt.NDArray[Any], image_range: ImageRange
) -> npt.NDArray[np.float32]:
    if images.dtype.kind not in "iufb":
        raise DataError(
            f"{which} images are {images.dtype}, expected numbers in {image_range[0]:g}.."
            f"{image_range[1]:g}: make them an array of such numbers"
        )
    floats = images.astype(np.float32, copy=False)
    if not floats.size:
        return floats
    low, high = floats.min(), floats.max()
    if not np.isfinite([low, high]).all():  # NaN is the least and the greatest of all
        first = np.argwhere(~np.isfinite(floats))[0][0]
        raise DataError(
            f"{which} images: image {first} has pixels that are not finite; repair or remove it"
        )
    if low < np.float32(image_range[0]) or high > np.float32(image_range[1]):
        raise DataError(
            f"{which} images are in {low:g}..{high:g}, outside image_range={image_range}; state "
            "the range of all images, black first"
        )
    return floats


def _cure(images: npt.NDArray[Any]) -> str:
    """Return how to pass images of a type that is not accepted, without losing anything."""
    if images.dtype.kind == "b":
        return "if True is white, convert them with images.astype('uint8') * 255"
    if images.dtype.kind not in "iuf" or not images.size:
        return "make them an array of such numbers"
    low, high = images.min(), images.max()
    if not np.isfinite([low, high]).all():
        return "some are not finite; repair them first"
    whole = "0, 1" if low >= 0 and high <= 1 else "-1, 1" if low >= -1 and high <= 1 else ""
    whole = whole or ("0, 255" if low >= 0 and high <= 255 else "0, 65535" if low >= 0 else "")
    keep = "state their range, as in dataset_from_arrays(..., image_range=({}))"
    if low < 0:
        stated = keep.format(whole or f"{low:g}, {high:g}")
        return f"they are in {low:g}..{high:g}; {stated}, or undo what made them negative"
    if images.dtype.kind == "f" and high <= 255:
        factor, white = ("(images * 255)", 1) if high <= 1 else ("images", 255)
        return (
            f"{keep.format(whole)}, or, if they are in 0..{white}, convert them with "
            f"{factor}.round().astype('uint8')"
        )
    return (
        f"they are in {low:g}..{high:g}. {keep.format(whole).capitalize()}, or convert them: if "
        "white is 65535, with (images // 257).astype('uint8')"
        + "; if white is 255, with images.astype('uint8')"
        * bool(high <= 255)
    )
