"""A chunk: the batches of several steps, taken from the input stream at once.

A session run may end in the middle of a chunk, so the chunk is kept in variables.
"""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.data.pipeline import make_chunk_stream, next_element
from cnnlab.data.resident import ResidentData, Rows
from cnnlab.data.sampling import Sampler


class Chunk:
    """Rows of the training set for several steps, and how many of the steps were made.

    Attributes:
        steps: batches in a chunk.
        init_op: empties the chunk.
    """

    def __init__(
        self,
        data: ResidentData,
        batch_size: int,
        seed: int,
        first_step: int,
        steps: int,
        sampler: Sampler | None = None,
    ) -> None:
        """Add the stream, and local variables, which a Saver of global variables does not write.

        Args: as for `make_chunk_stream`.
        """
        self.steps = steps
        self._stream = make_chunk_stream(data, batch_size, seed, first_step, steps, sampler)
        local = {"trainable": False, "collections": [tf.GraphKeys.LOCAL_VARIABLES]}
        with tf.variable_scope("resident_data/chunk", use_resource=True):
            self._rows = {
                name: tf.get_variable(
                    name,
                    [steps, batch_size, *shape],
                    dtype,
                    tf.zeros_initializer(),
                    **local,
                )
                for name, (dtype, shape) in data.kinds.items()
            }
            self._used = tf.get_variable(
                "used", [], tf.int32, tf.constant_initializer(steps), **local
            )
        variables = [self._used, *self._rows.values()]
        self.init_op = tf.group(*[variable.initializer for variable in variables])

    def take(self) -> tuple[Rows, Any]:
        """Return the chunk, or take the next one from the stream if all of it is used.

        Returns:
            the rows: images [steps, batch, height, width, channels], labels [steps, batch, ...],
            and if there are weights, weights float32 [steps, batch].
            The index of the next batch in the chunk, int32 scalar.
        """
        used = self._used.read_value()

        def refill() -> Any:
            drawn = next_element(self._stream)
            filled = [self._rows[name].assign(drawn[name], read_value=False) for name in self._rows]
            with tf.control_dependencies(filled):
                return tf.constant(0)

        first = tf.cond(tf.equal(used, self.steps), refill, lambda: tf.identity(used))
        with tf.control_dependencies([first]):
            return {name: rows.read_value() for name, rows in self._rows.items()}, first

    def use(self, used: Any) -> Any:
        """Return an op that stores how many batches of the chunk are used."""
        return self._used.assign(used, read_value=False)
