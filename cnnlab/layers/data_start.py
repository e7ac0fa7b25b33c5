"""Variables that are computed from training images at the start of a run and are never trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.tf1 import tf
from cnnlab.layers import tower as towers
from cnnlab.layers.variables import FROZEN


class DataStart(NamedTuple):
    """How to compute the value of a variable that starts from training images.

    initial_value: the variable's initial value, zeros.
    inputs: tensor of the inference graph that the value is computed from, batch first.
    num_images: number of training images to evaluate `inputs` on; the first ones are used.
    value_of: NumPy function from the values of `inputs` to the variable's value.
    value_ph: placeholder of the value.
    fill_op: op that assigns the value to the variable.
    """

    initial_value: Any
    inputs: Any
    num_images: int
    value_of: Callable[[Any], Any]
    value_ph: Any
    fill_op: Any

    def fill(self, session: Any, images_ph: Any, images: npt.NDArray[np.uint8]) -> None:
        """Compute the value and assign it to the variable.

        Args:
            session: the session that holds the variable.
            images_ph: the placeholder of images of the inference graph.
            images: uint8 [n, height, width, channels], the training images.
        """
        found = session.run(self.inputs, {images_ph: images[: self.num_images]})
        session.run(self.fill_op, {self.value_ph: self.value_of(found)})


def frozen_variable(
    name: str, shape: list[int], inputs: Any, value_of: Callable[[Any], Any], num_images: int
) -> Any:
    """Return a variable that is computed from the first training images when a run starts.

    It is a global variable, so every checkpoint contains it. It has no moving average.

    Args:
        name: name of the variable within the current variable scope.
        shape: shape of the variable.
        inputs: tensor that the value is computed from, float [batch, ...].
        value_of: NumPy function from the values of `inputs` in inference, [num_images, ...], to the
            variable's value, float32 of `shape`.
        num_images: number of training images to use (>= 1).

    Returns:
        The variable, float32 of `shape`, zeros until it is computed.
    """
    tower = towers.current()
    collections = [tf.GraphKeys.GLOBAL_VARIABLES, FROZEN]
    variable = tf.get_variable(
        name, shape, initializer=tf.zeros_initializer(), trainable=False, collections=collections
    )
    # In the inference graph only: there `inputs` can be evaluated without a training step.
    if tower.step is None:
        value_ph = tf.placeholder(tf.float32, shape, f"{name}_ph")
        fill_op = variable.assign(value_ph).op
        tower.data_starts.append(
            DataStart(variable.initial_value, inputs, num_images, value_of, value_ph, fill_op)
        )
    return variable
