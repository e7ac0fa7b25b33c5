"""Random keys: everything random in a step is a pure function of (seed, step, purpose).

A key is the seed of one of TensorFlow's stateless random ops. It depends on the run's seed, the
step and a purpose, which is a text such as "augment/flip". It does not depend on what was drawn
before. So a run draws the same numbers if it is stopped and resumed, or grouped into session runs
of another length.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any, NamedTuple

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import tf


def derive_seed(seed: int, purpose: str) -> int:
    """Return a seed in [0, 2**31) for one purpose; different purposes give unrelated seeds."""
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % 2**31


class Origin(NamedTuple):
    """Where the images of a batch come from.

    indices: int64 [batch], range [0, num_train), the positions in the training set.
    epochs: int64 [batch], the epoch that each image belongs to.
    num_train: the number of training images.
    """

    indices: Any
    epochs: Any
    num_train: int


class StepKeys:
    """The random keys of one step.

    Attributes:
        seed: the run's seed.
        step: int64 scalar tensor; None where nothing random may be drawn, as in inference.
        origin: which images of the training set the batch holds; None where that is unknown.
        first_row: int32 scalar tensor, the position in the batch of the first image that is
            augmented, where a worker has only its own images; None: it has all.
    """

    def __init__(
        self,
        seed: int,
        step: Any = None,
        origin: Origin | None = None,
        first_row: Any = None,
    ) -> None:
        self.seed, self.step, self.origin, self.first_row = seed, step, origin, first_row
        self._uses: Counter[str] = Counter()
        self._taken: set[str] = set()

    def unique_name(self, name: str) -> str:
        """Return the name itself at its first use, then name_1, name_2 and so on.

        Names that were returned before are skipped, so no two layers share a name.
        """
        unique = self._numbered(name)
        while unique in self._taken:
            unique = self._numbered(name)
        self._taken.add(unique)
        return unique

    def is_taken(self, name: str) -> bool:
        """Return whether `unique_name` has returned this name."""
        return name in self._taken

    def _numbered(self, name: str) -> str:
        count = self._uses[name]
        self._uses[name] += 1
        return f"{name}_{count}" if count else name

    def random_key(self, purpose: str) -> Any:
        """Return the seed of a stateless random op for this purpose in this step.

        Each further call for one purpose returns a different key. A stateless op numbers its draws
        from the first element on. So if the batch is the first axis, the numbers of an image depend
        on its position in the batch, not on the batch size.

        Args:
            purpose: what the numbers are for, as in "augment/flip".

        Returns:
            int64 [2].

        Raises:
            CnnlabError: there is no step, as in inference.
        """
        if self.step is None:
            raise CnnlabError(f"{purpose} draws random numbers, which inference does not have")
        purpose_key = derive_seed(self.seed, self._numbered(purpose))
        return tf.stack([tf.constant(purpose_key, tf.int64), self.step])

    def uniform(self, shape: list[Any], key: Any, *limits: Any) -> Any:
        """Return `tf.random.stateless_uniform(shape, key, *limits)` for the images that are there.

        Args:
            shape: the number of these images, then the numbers for each.
            key: see `random_key`.
            *limits: minval, maxval and dtype.
        """
        if self.first_row is None:
            return tf.random.stateless_uniform(shape, key, *limits)
        whole = [self.first_row + shape[0], *shape[1:]]
        return tf.random.stateless_uniform(whole, key, *limits)[self.first_row :]
