"""The images of a batch that a worker computes; where it can, it prepares no others."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from cnnlab.base.tf1 import tf
from cnnlab.config.augmentations import parse_entry
from cnnlab.config.config import Config

# What makes the same bits of some images as of all: pixels that move, and arithmetic that IEEE 754
# defines. Other functions round in other ways at the end of an array than in its middle.
AUGMENTATIONS: Final = (
    *("flip", "vertical_flip", "alternating_flip"),
    *("pad_and_crop", "translate", "random_crop", "central_crop", "cutout"),
    "normalize",
)
SCALINGS: Final = ("unit", "none", "symmetric", "normalize", "caffe", "torch")


class OwnRows(NamedTuple):
    """The parts of each batch that this worker computes.

    first: number of its first part.
    parts: number of its parts.
    total: number of all parts of a batch.
    """

    first: int
    parts: int
    total: int

    def bounds(self, size: Any) -> tuple[Any, Any]:
        """Return the first of this worker's images and the end, int32 scalars.

        Args:
            size: images in the batch, int32 scalar. A batch of fewer images than parts, which is a
                fed one, has a part for each image.
        """
        parts = tf.minimum(self.total, size)
        first, end = (tf.minimum(part, parts) for part in (self.first, self.first + self.parts))
        return size * first // parts, size * end // parts

    def of(self, rows: Any) -> Any:
        """Return this worker's rows; rows: [batch, ...]."""
        start, end = self.bounds(tf.shape(rows)[0])
        return rows[start:end]


def can_be_prepared_alone(config: Config) -> bool:
    """Return whether some images of a batch can be prepared without the others, bit by bit."""
    names = {parse_entry(entry)[0] for entry in config.augment}
    return config.scaling in SCALINGS and names <= set(AUGMENTATIONS)
