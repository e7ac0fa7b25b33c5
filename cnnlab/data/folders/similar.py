"""Finds pictures that look alike by a difference hash.

dHash (Krawetz, "Kind of Like That", 2013) says of each pixel of a small grey version whether its
right neighbour is brighter. Here the lower neighbour counts, too: 64 + 64 bits. Another size, JPEG
quality or brightness changes few of them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

HASH_BITS: Final = 128
_SIDE: Final = 8
_BLOCK: Final = 2048  # pictures compared with all others at a time


def difference_hash(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return the hash of an image, bool [HASH_BITS].

    Args:
        image: uint8 [height, width, 3].
    """
    grey = Image.fromarray(image).convert("L")
    wide, high = (
        np.asarray(grey.resize(size, Image.Resampling.BOX), np.int16)
        for size in ((_SIDE + 1, _SIDE), (_SIDE, _SIDE + 1))
    )
    across, down = wide[:, 1:] > wide[:, :-1], high[1:] > high[:-1]
    return np.concatenate([across.ravel(), down.ravel()])


def alike(hashes: npt.NDArray[np.bool_], most_bits: int) -> list[tuple[int, int]]:
    """Return the pairs (i, j), i < j, whose hashes differ in at most some bits.

    Args:
        hashes: bool [n, HASH_BITS].
        most_bits: the largest number of different bits.
    """
    # The product of two signs is 1 for equal bits and -1 for different ones.
    signs: Any = np.where(hashes, 1, -1).astype(np.float32)
    least = HASH_BITS - 2 * most_bits
    found: list[tuple[int, int]] = []
    for start in range(0, len(signs), _BLOCK):
        near = signs[start : start + _BLOCK] @ signs[start:].T >= least
        rows, columns = np.nonzero(np.triu(near, 1))
        found += zip((rows + start).tolist(), (columns + start).tolist(), strict=True)
    return found


def joined(pairs: list[tuple[int, int]]) -> list[list[int]]:
    """Return the groups that pairs join, each sorted, in the order of their first members."""
    parent: dict[int, int] = {}

    def root(i: int) -> int:
        while parent.setdefault(i, i) != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    groups: dict[int, list[int]] = {}
    for i in sorted(parent):
        groups.setdefault(root(i), []).append(i)
    return [groups[first] for first in sorted(groups)]
