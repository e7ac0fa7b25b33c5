"""The classes of images, the most likely first."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.graph.heads import Heads


class Ranked(NamedTuple):
    """The classes of images, the most likely first; of several heads, head after head.

    classes: int64 [n, num_classes], range [0, num_classes); of a head, those in its columns, from
        0 on.
    probabilities: float32 [n, num_classes], of these classes.
    """

    classes: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]


def ranked(
    logits: npt.NDArray[np.float32], probabilities: npt.NDArray[np.float32], heads: Heads
) -> Ranked:
    """Return the classes, ranked, and their probabilities.

    Args:
        logits, probabilities: float32 [n, num_classes].
        heads: of the run; none: the images have one class.
    """
    every: list[Any] = [head.columns for head in heads] or [slice(None)]
    # By the logits, because different logits may round to the same probability.
    classes = [np.argsort(-logits[:, own], axis=1, kind="stable") for own in every]
    shares = [
        np.take_along_axis(probabilities[:, own], order, axis=1)
        for own, order in zip(every, classes, strict=True)
    ]
    return Ranked(np.concatenate(classes, axis=1), np.concatenate(shares, axis=1))
