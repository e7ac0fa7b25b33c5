"""Weights that start from the training images and are never trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.tf1 import tf
from cnnlab.layers import tower as towers


class DataStart(NamedTuple):
    """How a frozen variable is filled.

    initial_value: what the variable starts with until then.
    inputs: the tensor that its value is computed from, in an inference tower.
    num_images: training images that `inputs` is evaluated on, the first so many.
    value_of: NumPy function of what `inputs` is then to the variable's value.
    value_ph, fill_op: the value goes in here, and this stores it.
    """

    initial_value: Any
    inputs: Any
    num_images: int
    value_of: Callable[[Any], Any]
    value_ph: Any
    fill_op: Any

    def fill(self, session: Any, images_ph: Any, images: npt.NDArray[np.uint8]) -> None:
        """Compute and store the value; images: uint8 [n, height, width, channels]."""
        found = session.run(self.inputs, {images_ph: images[: self.num_images]})
        session.run(self.fill_op, {self.value_ph: self.value_of(found)})


def frozen_variable(
    name: str, shape: list[int], inputs: Any, value_of: Callable[[Any], Any], num_images: int
) -> Any:
    """A variable that is computed from the first training images when a run begins.

    It is a global variable, so that every checkpoint holds it; no average of it is kept.

    Args:
        name: within the variable scope.
        shape: the variable's.
        inputs: tensor with the batch first.
        value_of: NumPy function of `inputs`, evaluated on the images in inference mode, to float32
            of that shape.
        num_images: images that are looked at.

    Returns:
        float32 of that shape; zeros until it is filled.
    """
    tower = towers.current()
    collections = [tf.GraphKeys.GLOBAL_VARIABLES, towers.FROZEN]
    variable = tf.get_variable(
        name, shape, initializer=tf.zeros_initializer(), trainable=False, collections=collections
    )
    if tower.step is None:  # once, and where `inputs` can be evaluated by itself
        value_ph = tf.placeholder(tf.float32, shape, f"{name}_ph")
        fill_op = variable.assign(value_ph).op
        tower.data_starts.append(
            DataStart(variable.initial_value, inputs, num_images, value_of, value_ph, fill_op)
        )
    return variable
