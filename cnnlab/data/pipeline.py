"""The input stream: which images make up the batch of a step. This is the only tf.data code.

An epoch is a random permutation of the training images, drawn from (seed, epoch) alone, or what
`cnnlab.data.sampling` makes of it, drawn from (seed, epoch) and the labels alone. The run is
the sequence of its epochs, and step s takes positions s * batch_size to (s + 1) * batch_size of it.
So a batch may straddle two epochs, no image is ever left out, and the stream can start at any step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from cnnlab.base.randomness import derive_seed
from cnnlab.base.tf1 import tf, tf2
from cnnlab.data.own_rows import OwnRows
from cnnlab.data.resident import ResidentData, Rows
from cnnlab.data.sampling import Sampler

_MAX_EPOCHS = 2**40  # in effect without an end, which Dataset.range needs
_BYTES_AHEAD = 2**19  # of images: enough to wake a thread seldom, few enough for a core's cache


class RowStream:
    """The rows of the training set that make up the batches, one batch after the other."""

    def __init__(
        self,
        data: ResidentData,
        batch_size: int,
        seed: int,
        first_step: int,
        sampler: Sampler | None = None,
        own: OwnRows | None = None,
    ) -> None:
        """Add the stream to the default graph.

        Args:
            data: the training set.
            batch_size: images in a batch.
            seed: the run's seed.
            first_step: the step whose batch comes first (>= 0).
            sampler: draws the epochs; None: each is a permutation.
            own: the images of a batch that its rows have; None: all. The other columns are whole.
        """
        self._data, self._sampler, self._own = data, sampler, own
        # Data on a GPU stays there, and is gathered there.
        self._has_rows = data.is_on_cpu
        if self._has_rows:
            self._iterator = make_batch_stream(data, batch_size, seed, first_step, sampler, own)
        else:
            self._iterator = make_index_stream(
                data.num_images, batch_size, seed, first_step, sampler
            )

    def next_rows(self) -> Rows:
        """Return the rows of the next batch; see `ResidentData.rows`."""
        drawn = self._iterator.get_next()
        if self._has_rows:
            return drawn
        indices = drawn if self._sampler is None else self._sampler.numbers(drawn)
        return self._data.rows(indices, self._own)

    def next_rows_unless_fed(self, images_ph: Any, labels_ph: Any) -> Rows:
        """Return the images that are fed if there are any, else the rows of the next batch.

        The stream advances in both cases.
        """
        drawn = self.next_rows()

        def fed() -> Rows:
            images = images_ph if self._own is None else self._own.of(images_ph)
            rows = {"indices": drawn["indices"], "images": images, "labels": labels_ph}
            if "weights" in self._data.kinds:
                rows["weights"] = tf.ones([tf.shape(images_ph)[0]], tf.float32)
            return rows

        # Fed images wait for the stream's batch too: the loop must not draw the next one before.
        with tf.control_dependencies([drawn["indices"]]):
            return tf.cond(tf.shape(images_ph)[0] > 0, fed, lambda: dict(drawn))


def make_index_stream(
    num_images: int, batch_size: int, seed: int, first_step: int, sampler: Sampler | None = None
) -> Any:
    """Return a one-shot iterator over the image indices of the batches; with a sampler, places.

    Its dataset captures no tensor, as a one-shot iterator demands. Only a few numbers enter the
    graph.

    Args:
        num_images: number of training images (>= batch_size).
        batch_size: images in a batch.
        seed: the run's seed.
        first_step: the step whose batch comes first (>= 0).
        sampler: draws the epochs; None: each is a permutation.

    Returns:
        an iterator of int64 [batch_size], range [0, num_images).
    """
    # Cutting off a batch on the calling thread costs less than waking another thread to do it.
    orders = _orders(num_images, batch_size, seed, first_step, sampler)
    return _iterator(orders.rebatch(batch_size))


def make_batch_stream(
    data: ResidentData,
    batch_size: int,
    seed: int,
    first_step: int,
    sampler: Sampler | None = None,
    own: OwnRows | None = None,
) -> Any:
    """Return an iterator over the same batches with their images, prefetched by a thread.

    The data must be in the CPU's memory. A dataset cannot capture variables, so it finds them by
    name.

    Args: as for `make_index_stream`; and
        own: the images of a batch that are returned; None: all.

    Returns:
        an iterator of the rows that `ResidentData.rows` returns.
    """
    _, image_shape = data.kinds["images"]
    images_ahead = min(_BYTES_AHEAD // math.prod(image_shape), data.num_images)
    batches_ahead = max(1, images_ahead // batch_size) if own is None else 1
    orders = _orders(data.num_images, batch_size, seed, first_step, sampler)
    indices = orders.rebatch(batch_size * batches_ahead)
    # Reading files takes longer at some times than at others, so one more batch waits.
    rows = indices.map(_rows_by_name(data, sampler, own)).prefetch(1 if data.reader is None else 2)
    return _iterator(rows.rebatch(batch_size) if batches_ahead > 1 else rows)


def make_chunk_stream(
    data: ResidentData,
    batch_size: int,
    seed: int,
    first_step: int,
    steps: int,
    sampler: Sampler | None = None,
) -> Any:
    """Return an iterator over the same batches, `steps` of them in one element.

    Args:
        data, batch_size, seed, first_step: as for `make_batch_stream`.
        steps: batches in one element.
        sampler: as for `make_batch_stream`.

    Returns:
        an iterator of the rows that `ResidentData.rows` returns, with axes [steps, batch, ...].
    """

    rows_of = _rows_by_name(data, sampler)

    def chunk_of(indices: Any) -> dict[str, Any]:
        rows = rows_of(indices)
        return {
            name: tf.reshape(values, [steps, batch_size, *values.shape[1:]])
            for name, values in rows.items()
        }

    indices = _orders(data.num_images, batch_size, seed, first_step, sampler)
    return _iterator(indices.rebatch(batch_size * steps).map(chunk_of).prefetch(1))


def _rows_by_name(
    data: ResidentData, sampler: Sampler | None, own: OwnRows | None = None
) -> Callable[[Any], Rows]:
    """Return the function of a dataset from what `_orders` draws to the rows."""
    if sampler is None and own is None:
        return data.rows_by_name
    if sampler is None:
        return lambda indices: data.rows_by_name(indices, own)
    return lambda places: data.rows_by_name(sampler.numbers_by_name(places), own)


def _orders(
    num_images: int, batch_size: int, seed: int, first_step: int, sampler: Sampler | None
) -> Any:
    """Return a dataset of the epochs' orders, int64 [epoch size], prefetched by one epoch.

    They are image indices, or the places of the sampler.

    The first one lacks the images that the steps before `first_step` have used.
    """
    epoch_size = num_images if sampler is None else sampler.epoch_size
    first_epoch, first_offset = divmod(first_step * batch_size, epoch_size)

    def permutation_of(epoch: Any) -> Any:
        order = order_of(epoch, num_images, seed, sampler)
        already_taken = tf.where(tf.equal(epoch, first_epoch), first_offset, 0)
        return order[already_taken:]

    return tf.data.Dataset.range(first_epoch, _MAX_EPOCHS).map(permutation_of).prefetch(1)


def order_of(epoch: Any, num_images: int, seed: int, sampler: Sampler | None) -> Any:
    """Return the order of an epoch, int64 [epoch size]; epoch: int64 scalar."""
    if sampler is not None:
        return sampler.order_of(epoch, seed)
    key = derive_seed(seed, "order of images")
    return tf.random.experimental.stateless_shuffle(
        tf.range(num_images, dtype=tf.int64), seed=tf.stack([epoch, tf.constant(key, tf.int64)])
    )


def _iterator(dataset: Any) -> Any:
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1  # its work is small
    return tf.data.make_one_shot_iterator(dataset.with_options(options))


def next_element(iterator: Any) -> Any:
    """Return the next element of a one-shot iterator, computed on the calling thread.

    `iterator.get_next()` leaves the work to a thread of the iterator. That thread then continues
    the step, on a core whose caches do not have its data.

    Returns:
        a tensor, or a dict of tensors.
    """
    spec = iterator.element_spec
    values = tf.raw_ops.IteratorGetNextSync(
        iterator=iterator._iterator_resource,
        output_types=[part.dtype for part in tf2.nest.flatten(spec)],
        output_shapes=[part.shape for part in tf2.nest.flatten(spec)],
    )
    return tf2.nest.pack_sequence_as(spec, values)
