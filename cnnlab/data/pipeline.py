"""Which images make up the batch of a step: the only tf.data code.

An epoch is a random permutation of the training images, drawn from (seed, epoch) alone; the run is
the epochs laid end to end, and step s takes positions s*batch_size up to (s+1)*batch_size of it.
So a batch may straddle two epochs, no image is ever left out, and the stream can start at any step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from cnnlab.base.randomness import derive_seed
from cnnlab.base.tf1 import tf, tf2

_MAX_EPOCHS = 2**40  # stands for "for ever": Dataset.range wants an end
_BYTES_AHEAD = 2**19  # of images: enough to wake a thread seldom, and few enough for a core's cache


def make_index_stream(num_images: int, batch_size: int, seed: int, first_step: int) -> Any:
    """A one-shot iterator over the batches' image indices.

    Its dataset captures no tensor, as a one-shot iterator demands; nothing but a few numbers enters
    the graph.

    Args:
        num_images: number of training images (>= batch_size).
        batch_size: images a batch.
        seed: the run's seed.
        first_step: the step whose batch comes first (>= 0).

    Returns:
        an iterator of int64 [batch_size], range [0, num_images).
    """
    # Cutting a batch off costs less than waking a thread to do it, which is a quarter of a small
    # network's step.
    return _iterator(_orders(num_images, batch_size, seed, first_step).rebatch(batch_size))


def make_batch_stream(data: ResidentData, batch_size: int, seed: int, first_step: int) -> Any:
    """The same batches with their images, which a thread of its own collects ahead.

    For data in the CPU's memory. A dataset cannot capture the variables; it finds them by name.

    Args: as `make_index_stream`.

    Returns:
        an iterator of what `ResidentData.rows` returns.
    """
    num_images, *image_shape = data.images.shape.as_list()
    images_ahead = min(_BYTES_AHEAD // math.prod(image_shape), num_images)
    batches_ahead = max(1, images_ahead // batch_size)
    indices = _orders(num_images, batch_size, seed, first_step).rebatch(batch_size * batches_ahead)
    rows = indices.map(data.rows_by_name).prefetch(1)
    return _iterator(rows.rebatch(batch_size) if batches_ahead > 1 else rows)


def make_chunk_stream(
    data: ResidentData, batch_size: int, seed: int, first_step: int, steps: int
) -> Any:
    """The same, the batches of so many steps at a time.

    Args:
        data, batch_size, seed, first_step: as `make_batch_stream`.
        steps: batches in one element.

    Returns:
        an iterator of what `ResidentData.rows` returns, with axes [steps, batch, ...].
    """

    def chunk_of(indices: Any) -> dict[str, Any]:
        rows = data.rows_by_name(indices)
        return {
            name: tf.reshape(values, [steps, batch_size, *values.shape[1:]])
            for name, values in rows.items()
        }

    indices = _orders(data.images.shape[0], batch_size, seed, first_step)
    return _iterator(indices.rebatch(batch_size * steps).map(chunk_of).prefetch(1))


def _orders(num_images: int, batch_size: int, seed: int, first_step: int) -> Any:
    """A dataset of the epochs' orders, int64 [num_images], of the first what is left of it; made
    an epoch ahead."""
    key = derive_seed(seed, "order of images")
    first_epoch, first_offset = divmod(first_step * batch_size, num_images)

    def permutation_of(epoch: Any) -> Any:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(num_images, dtype=tf.int64), seed=tf.stack([epoch, tf.constant(key, tf.int64)])
        )
        already_taken = tf.where(tf.equal(epoch, first_epoch), first_offset, 0)
        return order[already_taken:]

    return tf.data.Dataset.range(first_epoch, _MAX_EPOCHS).map(permutation_of).prefetch(1)


def _iterator(dataset: Any) -> Any:
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1  # an epoch's order takes a millisecond
    return tf.data.make_one_shot_iterator(dataset.with_options(options))


def next_element(iterator: Any) -> Any:
    """As `iterator.get_next()`, on the thread that asks.

    That one hands the work to a thread of the iterator's, which then goes on with the step: on a
    core whose caches know nothing of it.

    Args: iterator: a one-shot iterator.

    Returns:
        its next element: a tensor, or a dict of them.
    """
    spec = iterator.element_spec
    values = tf.raw_ops.IteratorGetNextSync(
        iterator=iterator._iterator_resource,
        output_types=[part.dtype for part in tf2.nest.flatten(spec)],
        output_shapes=[part.shape for part in tf2.nest.flatten(spec)],
    )
    return tf2.nest.pack_sequence_as(spec, values)


class ResidentData(NamedTuple):
    """The training set as variables of the graph.

    images: uint8 [num_images, height, width, channels].
    labels: int64 [num_images].
    weights: float32 [num_images], each example's; None where there are none.
    class_weights: float32 [num_classes]; None where there are none.
    fill: a function of a session and the NumPy arrays in this order, that fills them.
    """

    images: Any
    labels: Any
    weights: Any
    class_weights: Any
    fill: Callable[..., None]

    def rows(self, indices: Any) -> dict[str, Any]:
        """Some images, and what belongs to each.

        Args:
            indices: int64 [batch].

        Returns:
            indices, images uint8 [batch, height, width, channels], labels int64 [batch], and where
            there are weights float32 [batch].
        """
        return self._rows(indices, tf.gather)

    def rows_by_name(self, indices: Any) -> dict[str, Any]:
        """The same inside a function that captures nothing; on the CPU."""
        return self._rows(indices, _gather_by_name)

    def _rows(self, indices: Any, gather: Callable[[Any, Any], Any]) -> dict[str, Any]:
        rows = {
            "indices": indices,
            "images": gather(self.images, indices),
            "labels": gather(self.labels, indices),
        }
        if self.weights is not None:
            rows["weights"] = gather(self.weights, indices)
        return rows


def _gather_by_name(variable: Any, indices: Any) -> Any:
    dtype, made_by = variable.dtype.base_dtype, variable.handle.op
    handle = tf.raw_ops.VarHandleOp(
        dtype=dtype,
        shape=variable.shape,
        container=made_by.get_attr("container"),
        shared_name=made_by.get_attr("shared_name"),
    )
    return tf.raw_ops.ResourceGather(resource=handle, indices=indices, dtype=dtype)


def build_resident_data(
    image_shape: tuple[int, int, int],
    num_images: int,
    *,
    has_weights: bool = False,
    num_class_weights: int | None = None,
) -> ResidentData:
    """Add variables that hold the training set on the compute device.

    They are local variables: a Saver of all global ones would write the data into every
    checkpoint. They are filled through placeholders, so that the graph holds no image.

    Args:
        image_shape: (height, width, channels).
        num_images: number of training images.
        has_weights: whether each example has a weight.
        num_class_weights: number of classes, if each has a weight.
    """
    kinds: dict[str, tuple[Any, list[int]]] = {
        "images": (tf.uint8, [num_images, *image_shape]),
        "labels": (tf.int64, [num_images]),
    }
    if has_weights:
        kinds["weights"] = (tf.float32, [num_images])
    if num_class_weights is not None:
        kinds["class_weights"] = (tf.float32, [num_class_weights])
    with tf.variable_scope("resident_data", use_resource=True):
        placeholders = {
            name: tf.placeholder(dtype, shape, f"{name}_ph")
            for name, (dtype, shape) in kinds.items()
        }
        local = {"trainable": False, "collections": [tf.GraphKeys.LOCAL_VARIABLES]}
        variables = {
            name: tf.get_variable(name, initializer=placeholder, **local)
            for name, placeholder in placeholders.items()
        }
    fill_op = tf.group(*[variable.initializer for variable in variables.values()])

    def fill(
        session: Any, images: Any, labels: Any, weights: Any = None, class_weights: Any = None
    ) -> None:
        arrays = {
            "images": images,
            "labels": labels,
            "weights": weights,
            "class_weights": class_weights,
        }
        session.run(fill_op, {placeholders[name]: arrays[name] for name in placeholders})

    return ResidentData(
        variables["images"],
        variables["labels"],
        variables.get("weights"),
        variables.get("class_weights"),
        fill,
    )
