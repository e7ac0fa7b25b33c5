"""The batch of any single step, without a stream: for figures of the batch that comes next."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.base.tf1 import tf
from cnnlab.data.pipeline import order_of
from cnnlab.data.resident import ResidentData
from cnnlab.data.sampling import Sampler


class StepRows:
    """The rows of the batch of any step; all columns must be resident.

    The order of an epoch is computed once and kept, because a shuffle of the training set takes as
    long as the forward pass of a small network.
    """

    def __init__(
        self, data: ResidentData, batch_size: int, seed: int, sampler: Sampler | None = None
    ) -> None:
        """Add the operations to the default graph.

        Args:
            data: the training set.
            batch_size: images in a batch.
            seed: the run's seed.
            sampler: draws the epochs; None: each is a permutation.
        """
        self._batch_size = batch_size
        self._epoch_size = data.num_images if sampler is None else sampler.epoch_size
        self._epoch_ph = tf.placeholder(tf.int64, [], "epoch_ph")
        self._order = order_of(self._epoch_ph, data.num_images, seed, sampler)
        self._drawn_ph = drawn = tf.placeholder(tf.int64, [None], "drawn_ph")
        self._rows = data.rows(drawn if sampler is None else sampler.numbers(drawn))
        self._orders: dict[int, npt.NDArray[np.int64]] = {}

    def run(self, session: Any, step: int) -> dict[str, npt.NDArray[Any]]:
        """Return the rows of the batch of a step, as `ResidentData.rows` does.

        Args:
            session: a `tf.Session` that holds the training set. No step is made.
            step: number of steps before this batch (>= 0).
        """
        first, size = step * self._batch_size, self._epoch_size
        end = first + self._batch_size
        epochs = range(first // size, (end - 1) // size + 1)
        self._orders = {epoch: self._order_of(session, epoch) for epoch in epochs}
        parts = [o[max(first - e * size, 0) : end - e * size] for e, o in self._orders.items()]
        found: dict[str, npt.NDArray[Any]] = session.run(
            self._rows, {self._drawn_ph: np.concatenate(parts)}
        )
        return found

    def _order_of(self, session: Any, epoch: int) -> Any:
        if epoch in self._orders:
            return self._orders[epoch]
        return session.run(self._order, {self._epoch_ph: epoch})
