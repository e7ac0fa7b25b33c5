"""The steps that adding any layer takes: its name, the options for all layers, its penalties."""

from __future__ import annotations

import functools
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
    """Add a layer of `tf.layers` under a stable name, and record its output and its penalties.

    Args:
        layer_class: the class of the layer, or a function with the same arguments.
        kind: name of the kind of layer, as "conv2d". It is the layer's name if `name` is None.
        inputs: float [batch, ...].
        name: name of the layer and scope of its variables. A second layer of the same name gets the
            name with the suffix _1, and so on.
        kwargs: arguments of the layer's class, which are changed in place.
        **call: arguments of the layer's call.

    Returns:
        The output of the layer, float32 [batch, ...].
    """
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
        # Under this policy variables are float32, and the layer casts them when it uses them.
        kwargs["dtype"] = mixed_precision.Policy(f"mixed_{tower.precision}")
        inputs = tf.cast(inputs, tower.precision, name=f"{name}/cast_inputs")
    layer = layer_class(name=name, _scope=name, _reuse=tf.AUTO_REUSE, **kwargs)
    # Layers contain no Python code that TensorFlow must translate, and its search for some is slow.
    outputs = tf.autograph.experimental.do_not_convert(layer)(inputs, **call)
    if is_mixed:
        # Between layers everything is float32. So a model's own code, batch norm and the loss need
        # not know the precision.
        outputs = tf.cast(outputs, tf.float32, name=f"{name}/cast_outputs")
    for weight, regularizer in regularizers.items():
        # The legacy layer would build the penalty only once, when it creates the variable. That may
        # be in the inference graph, and then the penalty would have no effect on training.
        if regularizer is not None:
            penalty = regularizer(getattr(layer, weight))
            tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, penalty)
            tower.penalties.append(penalty)
    tower.activations[name] = outputs
    return outputs


def chosen(make_layer: Callable[..., Any]) -> Callable[..., Any]:
    """Return a layer's maker that knows the current choice of kernels."""
    return functools.partial(make_layer, towers.current().kernels)


def apply_function(function: Callable[[], Any], kind: str, name: str | None) -> Any:
    """Add a layer without variables under a stable name, and record its output.

    Args:
        function: builds the layer, and returns its output.
        kind: name of the kind of layer. It is the layer's name if `name` is None.
        name: name of the layer.

    Returns:
        The output of the function.
    """
    tower = towers.current()
    name = tower.unique_name(name or kind)
    with tf.name_scope(name):
        outputs = function()
    tower.activations[name] = outputs
    return outputs


def _take_defaults(
    kwargs: dict[str, Any], regularizers: dict[str, Any], defaults: towers.LayerDefaults
) -> None:
    """Resolve names of initializers and activations, and apply the options for all layers.

    Args:
        kwargs: arguments of the layer's class, which are changed in place.
        regularizers: weight to regularizer or None, changed in place.
        defaults: the options for all layers.
    """
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
