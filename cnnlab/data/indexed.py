"""Arrays and images of data that is indexed: an object with `len(data)` and `data[i]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import DataError
from cnnlab.base.machine import memory_bytes
from cnnlab.data.array_images import pixels_of
from cnnlab.data.from_streams import parts_of
from cnnlab.data.head_labels import check_same_heads
from cnnlab.data.row_images import RowImages
from cnnlab.data.specs import ImageRange

LARGEST_SHARE: Final = 0.25  # of the memory; more is read image by image


def is_indexed(given: object) -> bool:
    """Return whether this is an object with `len(data)` and `data[i]`, which is no array."""
    if isinstance(given, (tuple, list, str, bytes, Mapping)) or hasattr(given, "dtype"):
        return False
    return hasattr(given, "__len__") and hasattr(given, "__getitem__")


def arrays_of_indexed(which: str, data: Any, image_range: ImageRange | None) -> tuple[Any, ...]:
    """Return images, labels, and weights if there are any, of data that is indexed.

    All examples are read once. Their images are kept if they take less than a quarter of the
    memory. If not, each is read again whenever it is needed, so that a run can be resumed at any
    step.

    Args:
        which: the name of the data in errors.
        data: `data[i]` is (image, label) or (image, label, weight), for i below `len(data)`.
        image_range: (black, white); None: images are uint8.

    Raises:
        DataError: an example is something else, or has another shape than the first.
    """
    n = len(data)
    if not n:
        raise DataError(f"the {which} data has no example")
    first = parts_of(which, data[0])
    keeps = n * first[0].nbytes < LARGEST_SHARE * memory_bytes()
    images: list[npt.NDArray[Any]] = []
    others: list[tuple[Any, ...]] = []

    def image_of(i: int, parts: tuple[Any, ...]) -> npt.NDArray[Any]:
        if parts[0].shape != first[0].shape or len(parts) != len(first):
            raise DataError(
                f"the {which} data: example {i} has {len(parts)} parts and an image of shape "
                f"{parts[0].shape}, the first one {len(first)} and {first[0].shape}"
            )
        found: npt.NDArray[Any] = pixels_of(which, parts[0][None], image_range)[0]
        return found

    for i in range(n):
        parts = parts_of(which, data[i])
        image = image_of(i, parts)
        images += [image] if keeps else []
        others.append(parts[1:])

    def read(rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        return np.stack([image_of(i, parts_of(which, data[i])) for i in rows.tolist()])

    parts_of_all = list(zip(*others, strict=True))
    for column in parts_of_all:
        check_same_heads(which, column)
    columns = [np.stack(column) for column in parts_of_all]
    if keeps:
        return np.stack(images), *columns
    return RowImages(read, np.arange(n), image.shape, image.dtype), *columns


def mapped_images(images: Any) -> Any:
    """Return images of a `np.memmap`, which are to be read row by row if they are large."""
    if not isinstance(images, np.memmap) or images.nbytes < LARGEST_SHARE * memory_bytes():
        return images
    with_channels = images if images.ndim == 4 else images[..., None]
    if with_channels.ndim != 4 or with_channels.dtype != np.uint8:
        return images
    rows = np.arange(len(images))
    return RowImages(lambda some: np.asarray(with_channels[some]), rows, with_channels.shape[1:])
