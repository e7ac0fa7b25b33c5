"""The head of a network: its last layers, from the features to the logits.

Transfer learning keeps what is before the head, the base, and trains a head of its own. The tower
records where the head begins, so that `cnnlab bottleneck` can compute the features once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from cnnlab import layers
from cnnlab.base.errors import UsageError
from cnnlab.base.tf1 import tf
from cnnlab.config.arguments import accepts
from cnnlab.layers import tower as towers
from cnnlab.layers.building import apply_function
from cnnlab.layers.data_format import place_axes
from cnnlab.layers.tower import Head
from cnnlab.models.argument_types import Rate, Units

Pooling = Literal["average", "max", "flatten"]
# The outputs of each hidden dense layer, in order. A single number gives one layer.
HiddenUnits = Units | Sequence[Units]


def add_head(
    inputs: Any,
    num_classes: int,
    *,
    training: bool,
    pooling: Pooling = "average",
    dense_units: HiddenUnits = (),
    dropout: Rate = 0.0,
    kernel_initializer: Any = None,
) -> Any:
    """Add the last layers of a network: pooling, hidden dense layers, and the logits.

    The layers are mean, max or flatten; dense1, dense2 and so on with a relu and dropout; and
    logits. A model of your own that ends with this function can be the base of `cnnlab bottleneck`.

    Args:
        inputs: float32 [batch, height, width, channels], or [batch, features] with pooling flatten.
        num_classes: number of logits.
        training: whether dropout is active.
        pooling: average or max: over all pixels of each channel. flatten: every value is a feature.
        dense_units: the number of outputs (>= 1) of each hidden layer; none: the head is linear.
        dropout: the fraction of elements to drop, in [0, 1), after each hidden layer. Without
            hidden layers, the fraction of the features.
        kernel_initializer: of the logits; default: that of `layers.dense`.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.

    Raises:
        UsageError: the model adds a second head.
    """
    tower = towers.current()
    if tower.head is not None:
        raise UsageError("a model has one head; call add_head once")
    units = hidden_units(dense_units)
    if pooling == "average":
        x = layers.global_average_pooling2d(inputs, name="mean")
    elif pooling == "max":
        axes = place_axes(inputs)
        x = apply_function(lambda: tf.reduce_max(inputs, axes), "global_max_pooling2d", "max")
    else:
        x = layers.flatten(inputs, name="flatten")
    tower.head = Head(x, units, dropout)
    for number, size in enumerate(units, 1):
        scope = f"dense{number}"
        x = layers.dense(x, size, activation="relu", name=scope)
        x = layers.dropout(x, dropout, training=training, name=f"{scope}_dropout")
    if not units:
        x = layers.dropout(x, dropout, training=training, name="dropout")
    return layers.dense(x, num_classes, kernel_initializer=kernel_initializer, name="logits")


def hidden_units(dense_units: int | Sequence[int]) -> tuple[int, ...]:
    """Return the outputs of each hidden dense layer."""
    return (dense_units,) if isinstance(dense_units, int) else tuple(dense_units)


def feature_head(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    dense_units: HiddenUnits = (),
    dropout: Rate = 0.0,
) -> Any:
    """Build a head alone, over features that were computed before.

    `cnnlab bottleneck` trains it. With features of 8,192 values, dense_units=1024 and 2 classes it
    has 8,391,682 parameters:
        dense1    8192*1024 + 1024   = 8,389,632
        logits    1024*2 + 2         =     2,050

    Args:
        images: float32 [batch, 1, features, 1], the features.
        num_classes: number of logits.
        training: whether dropout is active.
        dense_units: the number of outputs (>= 1) of each hidden dense layer, in order.
        dropout: the fraction of elements to drop after each of them, in [0, 1); without hidden
            layers, of the features.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    return add_head(
        images,
        num_classes,
        training=training,
        pooling="flatten",
        dense_units=dense_units,
        dropout=dropout,
    )


def last_layer(
    images: Any,
    num_classes: int,
    *,
    training: bool,
    name: str = "logits",
    use_bias: bool = True,
    factor: float = 1.0,
    dropout: Rate = 0.0,
    dropout_name: str = "dropout",
) -> Any:
    """Build the last dense layer of a network alone, over features that were computed before.

    `cnnlab bottleneck` trains it where a network does not end with `add_head`. Layers have the
    names that they have in the network, so their variables and the masks of dropout are the same.

    Args:
        images: float32 [batch, 1, features, 1], the features.
        num_classes: number of logits.
        training: whether dropout is active.
        name: of the dense layer.
        use_bias: whether it has a bias.
        factor: of its outputs.
        dropout: the fraction of features to drop, in [0, 1).
        dropout_name: of the dropout layer.

    Returns:
        The logits, float32 [batch, num_classes], unscaled.
    """
    x = layers.flatten(images, name="flatten")
    x = layers.dropout(x, dropout, training=training, name=dropout_name)
    x = layers.dense(x, num_classes, use_bias=use_bias, name=name)
    return x if factor == 1 else x * factor


def has_own_head(model: Callable[..., Any]) -> bool:
    """Return whether the options of a model choose the hidden layers of its head.

    They do if the model passes its `dense_units` to `add_head`, where a head may have none.
    """
    return accepts(model, "dense_units", [])
