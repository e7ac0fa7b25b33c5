"""Pooling: the maximum or the mean of each channel over windows, or over the whole image."""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import legacy_pooling, tf
from cnnlab.layers.building import apply_function, apply_layer, chosen
from cnnlab.layers.data_format import place_axes
from cnnlab.layers.kernels.pooling import max_pooling_layer


def max_pooling1d(
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str = "valid",
    data_format: str | None = None,
    name: str | None = None,
) -> Any:
    """Take the maximum of each channel over each window of one axis.

    Args:
        inputs: float [batch, length, channels].
        pool_size: length of the window.
        data_format: channels_last or channels_first. Default: channels_last.
        strides and the other arguments: see `max_pooling2d`.

    Returns:
        float [batch, new length, channels].
    """
    return apply_layer(legacy_pooling.MaxPooling1D, "max_pooling1d", locals())


def max_pooling2d(
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str = "valid",
    data_format: str | None = None,
    name: str | None = None,
) -> Any:
    """Take the maximum of each channel over each window.

    A bias and a relu directly before this layer may be computed after it. That is faster and gives
    the same output. See `cnnlab.layers.kernels.pooling`.

    Args:
        inputs: float [batch, height, width, channels].
        pool_size: height and width of the window in pixels: one number for both, or a pair.
        strides: step from one window to the next in pixels, one number or a pair.
        padding: valid or same. The padding is never the maximum.
        data_format: channels_last or channels_first. Default: as `arrange` says, else
            channels_last.
        name: name of the layer.

    Returns:
        float [batch, new height, new width, channels], with the sizes of `conv2d`.
    """
    return apply_layer(chosen(max_pooling_layer), "max_pooling2d", locals())


def max_pooling3d(
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str = "valid",
    data_format: str | None = None,
    name: str | None = None,
) -> Any:
    """Take the maximum of each channel over each window of three axes.

    Args:
        inputs: float [batch, depth, height, width, channels].
        pool_size: depth, height and width of the window: one number for all, or three.
        data_format: channels_last or channels_first. Default: channels_last.
        strides and the other arguments: see `max_pooling2d`.

    Returns:
        float [batch, new depth, new height, new width, channels].
    """
    return apply_layer(legacy_pooling.MaxPooling3D, "max_pooling3d", locals())


def average_pooling1d(
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str = "valid",
    data_format: str | None = None,
    name: str | None = None,
) -> Any:
    """Take the mean of each channel over each window of one axis.

    Args:
        inputs: float [batch, length, channels].
        pool_size: length of the window.
        data_format: channels_last or channels_first. Default: channels_last.
        strides and the other arguments: see `average_pooling2d`.

    Returns:
        float [batch, new length, channels].
    """
    return apply_layer(legacy_pooling.AveragePooling1D, "average_pooling1d", locals())


def average_pooling2d(
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str = "valid",
    data_format: str | None = None,
    name: str | None = None,
) -> Any:
    """Take the mean of each channel over each window.

    Args:
        inputs: float [batch, height, width, channels].
        pool_size: height and width of the window in pixels: one number for both, or a pair.
        strides: step from one window to the next in pixels, one number or a pair.
        padding: valid or same. The mean does not count the padding.
        data_format: channels_last or channels_first. Default: as `arrange` says, else
            channels_last.
        name: name of the layer.

    Returns:
        float [batch, new height, new width, channels], with the sizes of `conv2d`.
    """
    return apply_layer(legacy_pooling.AveragePooling2D, "average_pooling2d", locals())


def average_pooling3d(
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str = "valid",
    data_format: str | None = None,
    name: str | None = None,
) -> Any:
    """Take the mean of each channel over each window of three axes.

    Args:
        inputs: float [batch, depth, height, width, channels].
        pool_size: depth, height and width of the window: one number for all, or three.
        data_format: channels_last or channels_first. Default: channels_last.
        strides and the other arguments: see `average_pooling2d`.

    Returns:
        float [batch, new depth, new height, new width, channels].
    """
    return apply_layer(legacy_pooling.AveragePooling3D, "average_pooling3d", locals())


def global_average_pooling2d(inputs: Any, name: str | None = None) -> Any:
    """Take the mean of each channel over all pixels.

    Lin et al. 2013, "Network In Network" (arXiv 1312.4400), section 3.2.

    Args:
        inputs: float [batch, height, width, channels].
        name: name of the layer.

    Returns:
        float [batch, channels].
    """
    return apply_function(
        lambda: tf.reduce_mean(inputs, place_axes(inputs)), "global_average_pooling2d", name
    )
