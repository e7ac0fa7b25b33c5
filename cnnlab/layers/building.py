"""How a layer is made: its name, what the options say of all layers, its penalties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnlab.base.tf1 import mixed_precision, tf
from cnnlab.layers import tower as towers
from cnnlab.layers.activations import find_activation
from cnnlab.layers.initializers import find_initializer
from cnnlab.layers.regularizers import l1_l2

KINDS_WITH_KERNEL = ("conv2d", "dense")
KINDS_WITH_DATA_FORMAT = ("conv2d", "max_pooling2d", "average_pooling2d", "flatten")


def apply_layer(
    layer_class: Any, kind: str, inputs: Any, name: str | None, kwargs: Any, **call: Any
) -> Any:
    """Make the layer under a stable name, call it, and record its output and penalties."""
    tower = towers.current()
    name = tower.unique_name(name or kind)
    regularizers = {
        weight: kwargs.pop(f"{weight}_regularizer", None)
        for weight in ("kernel", "bias", "gamma", "beta")
    }
    if kind in KINDS_WITH_KERNEL:
        tower.features = inputs
        _take_defaults(kwargs, regularizers, tower.defaults)
    if kind in KINDS_WITH_DATA_FORMAT:
        kwargs.setdefault("data_format", tower.data_format)
    is_mixed = kind in KINDS_WITH_KERNEL and tower.precision != "float32"
    if is_mixed:
        # Under this policy variables are float32, and cast where the layer uses them.
        kwargs["dtype"] = mixed_precision.Policy(f"mixed_{tower.precision}")
        inputs = tf.cast(inputs, tower.precision, name=f"{name}/cast_inputs")
    layer = layer_class(name=name, _scope=name, _reuse=tf.AUTO_REUSE, **kwargs)
    # Layers hold no Python that TensorFlow would have to translate; looking takes a while.
    outputs = tf.autograph.experimental.do_not_convert(layer)(inputs, **call)
    if is_mixed:
        # Between layers all is float32: a model's own code, batch norm and the loss know nothing
        # of the precision.
        outputs = tf.cast(outputs, tf.float32, name=f"{name}/cast_outputs")
    for weight, regularizer in regularizers.items():
        # The legacy layer would build the penalty once, where the variable is first made: outside
        # the tower that trains, whose gradient it would then not enter.
        if regularizer is not None:
            penalty = regularizer(getattr(layer, weight))
            tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, penalty)
            tower.penalties.append(penalty)
    tower.activations[name] = outputs
    return outputs


def apply_function(function: Callable[[], Any], kind: str, name: str | None) -> Any:
    """Make a layer that is a function without variables, under a stable name; record its output."""
    tower = towers.current()
    name = tower.unique_name(name or kind)
    with tf.name_scope(name):
        outputs = function()
    tower.activations[name] = outputs
    return outputs


def _take_defaults(
    kwargs: dict[str, Any], regularizers: dict[str, Any], defaults: towers.LayerDefaults
) -> None:
    """Turn names into what they name, and put in what the options say of all layers."""
    for weight in ("kernel", "bias"):
        initializer = kwargs.get(f"{weight}_initializer")
        if isinstance(initializer, str):
            kwargs[f"{weight}_initializer"] = find_initializer(initializer)
    if defaults.kernel_initializer is not None:
        kwargs["kernel_initializer"] = find_initializer(
            defaults.kernel_initializer, defaults.kernel_stddev
        )
    activation = kwargs.get("activation")
    if activation is not None and defaults.activation is not None:
        activation = defaults.activation
    if isinstance(activation, str):
        kwargs["activation"] = find_activation(activation)
    if regularizers["kernel"] is None:
        regularizers["kernel"] = l1_l2(defaults.l1, defaults.l2)
