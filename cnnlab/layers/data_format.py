"""How images lie between a network's layers: channels last or first.

A network says it once, by `arrange`; the layers after it go by the tower's `data_format`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import is_on_cpu, onednn_is_on, tf
from cnnlab.layers import tower as towers


def arrange(images: Any, data_format: str = "channels_last", *, min_size: int = 1) -> Any:
    """Lay images out as `data_format` says, in which all layers that follow in the tower keep them.

    Variables have the same names and shapes either way, so a checkpoint serves both.

    Args:
        images: float [batch, height, width, channels].
        data_format: channels_last, or channels_first, which is for GPUs: a CPU computes it only
            with oneDNN.
        min_size: the least height and width that the network can take.

    Returns:
        float [batch, height, width, channels] or [batch, channels, height, width].

    Raises:
        CnnlabError: the images are too small, or the device cannot compute channels_first.
    """
    height, width = images.shape[1:3].as_list()
    if any(side is not None and side < min_size for side in (height, width)):
        raise CnnlabError(
            f"images of {height}x{width} are too small for the model, whose pools need at least "
            f"{min_size}x{min_size}; see its --model_options, or take another model"
        )
    towers.current().data_format = data_format
    if data_format == "channels_last":
        return images
    images = tf.transpose(images, [0, 3, 1, 2])
    if is_on_cpu(images) and not onednn_is_on():
        raise CnnlabError(
            "data_format=channels_first needs a GPU: on this CPU, without oneDNN, TensorFlow has "
            "no convolutions and pools for it; use channels_last, or set TF_ENABLE_ONEDNN_OPTS=1"
        )
    return images


def channel_axis(inputs: Any) -> int:
    """The axis of the channels: 1 of images with channels first, else the last."""
    return 1 if _has_channels_first(inputs) else -1


def place_axes(inputs: Any) -> list[int]:
    """The axes of height and width."""
    return [2, 3] if _has_channels_first(inputs) else [1, 2]


def with_channels_last(function: Callable[[Any], Any], inputs: Any) -> Any:
    """function(inputs), where it knows only images [batch, height, width, channels]."""
    if not _has_channels_first(inputs):
        return function(inputs)
    outputs = function(tf.transpose(inputs, [0, 2, 3, 1]))
    return tf.transpose(outputs, [0, 3, 1, 2])


def _has_channels_first(inputs: Any) -> bool:
    return towers.current().data_format == "channels_first" and inputs.shape.rank == 4
