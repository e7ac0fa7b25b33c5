"""The layout of images between the layers of a network: channels last or channels first.

A model sets the layout once, with `arrange`. All its layers follow it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import is_on_cpu, onednn_is_on, tf
from cnnlab.layers import tower as towers


def arrange(images: Any, data_format: str = "channels_last", *, min_size: int = 1) -> Any:
    """Convert a model's images to a layout, which all its following layers then use.

    Variables have the same names and shapes in both layouts, so a checkpoint serves both.

    Args:
        images: float [batch, height, width, channels].
        data_format: channels_last, or channels_first. The latter is for GPUs. A CPU without oneDNN
            computes it in transposed copies, which is slower and gives the same figures.
        min_size: the smallest height and width that the model accepts, in pixels (>= 1).

    Returns:
        float [batch, height, width, channels] or [batch, channels, height, width].

    Raises:
        CnnlabError: the images are too small.
    """
    height, width = images.shape[1:3].as_list()
    if any(side is not None and side < min_size for side in (height, width)):
        raise CnnlabError(
            f"images of {height}x{width} are too small for the model, whose pooling layers need at "
            f"least {min_size}x{min_size}; change its --model_options, or choose another model"
        )
    towers.current().data_format = data_format
    if data_format == "channels_last":
        return images
    return to_channels_first(images)


def channel_axis(inputs: Any) -> int:
    """Return the axis of the channels: 1 for images with channels first, otherwise -1."""
    return 1 if _has_channels_first(inputs) else -1


def place_axes(inputs: Any) -> list[int]:
    """Return the axes of height and width, of images with four axes."""
    return [2, 3] if _has_channels_first(inputs) else [1, 2]


def with_channels_last(function: Callable[[Any], Any], inputs: Any) -> Any:
    """Return function(inputs) for a function that supports channels last only.

    Inputs with channels first are transposed before the function, and its outputs after it.
    """
    if not _has_channels_first(inputs):
        return function(inputs)
    return to_channels_first(function(to_channels_last(inputs)))


def to_channels_last(inputs: Any) -> Any:
    """Return [batch, channels, ...] transposed to [batch, ..., channels]."""
    return tf.transpose(inputs, [0, *range(2, inputs.shape.rank), 1])


def to_channels_first(inputs: Any) -> Any:
    """Return [batch, ..., channels] transposed to [batch, channels, ...]."""
    channels = inputs.shape.rank - 1
    return tf.transpose(inputs, [0, channels, *range(1, channels)])


def lacks_channels_first(inputs: Any) -> bool:
    """Return whether TensorFlow has no kernels for channels first where `inputs` are computed."""
    return is_on_cpu(inputs) and not onednn_is_on()


def _has_channels_first(inputs: Any) -> bool:
    """Return whether inputs are images with channels first."""
    return towers.current().data_format == "channels_first" and inputs.shape.rank == 4
