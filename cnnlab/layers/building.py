"""The steps that adding any layer takes: its name, the options for all layers, its regularizers."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, Final

from cnnlab.base.errors import UsageError
from cnnlab.base.tf1 import legacy_convolutional, mixed_precision, tf
from cnnlab.layers import tower as towers
from cnnlab.layers.activations import find_activation
from cnnlab.layers.data_format import lacks_channels_first, to_channels_first, to_channels_last
from cnnlab.layers.initializers import find_initializer

KINDS_WITH_KERNEL: Final = (
    *("conv1d", "conv2d", "conv3d", "conv2d_transpose", "conv3d_transpose"),
    *("depthwise_conv2d", "separable_conv1d", "separable_conv2d", "dense"),
)
# The kinds whose default layout is that of `arrange`. The others are for one or three axes.
KINDS_OF_IMAGES: Final = (
    *("conv2d", "conv2d_transpose", "depthwise_conv2d", "separable_conv2d"),
    *("max_pooling2d", "average_pooling2d", "flatten"),
)
WEIGHTS: Final = ("kernel", "depthwise", "pointwise", "bias", "gamma", "beta")


def apply_layer(layer_class: Any, kind: str, arguments: dict[str, Any], **call: Any) -> Any:
    """Add a layer of `tf.layers` under a stable name, and record its output and its regularizers.

    Args:
        layer_class: the class of the layer, or a function with the same arguments.
        kind: name of the kind of layer, as "conv2d". It is the layer's name if it has none.
        arguments: those of the function in `tf.layers`, `inputs` and `name` among them, which are
            changed in place.
        **call: arguments of the layer's call.

    Returns:
        The output of the layer, float32 [batch, ...].
    """
    tower = towers.current()
    inputs, reuse = arguments.pop("inputs"), arguments.pop("reuse", None)
    name, full_name = tower.layer_name(arguments.pop("name"), kind, reuse)
    regularizers = {weight: arguments.pop(f"{weight}_regularizer", None) for weight in WEIGHTS}
    _resolve_names(arguments, tower.defaults)
    given = inputs
    if "data_format" in arguments and arguments["data_format"] is None:
        is_image = kind in KINDS_OF_IMAGES
        arguments["data_format"] = tower.data_format if is_image else "channels_last"
    is_mixed = kind in KINDS_WITH_KERNEL and tower.precision != "float32"
    if is_mixed:
        # Under this policy variables are float32, and the layer casts them when it uses them.
        arguments["dtype"] = mixed_precision.Policy(f"mixed_{tower.precision}")
        inputs = tf.cast(inputs, tower.precision, name=f"{name}/cast_inputs")
    is_transposed = (
        arguments.get("data_format") == "channels_first"
        and kind != "flatten"  # computes both layouts everywhere
        and lacks_channels_first(inputs)
    )
    if is_transposed:
        arguments["data_format"] = "channels_last"
        inputs = to_channels_last(inputs)
    layer = layer_class(name=name, _scope=name, _reuse=tf.AUTO_REUSE, **arguments)
    # Layers contain no Python code that TensorFlow must translate, and its search for some is slow.
    with _devices_known_to_keras(arguments.get("data_format")):
        outputs = tf.autograph.experimental.do_not_convert(layer)(inputs, **call)
    if is_transposed:
        outputs = to_channels_first(outputs)
    if is_mixed:
        # Between layers everything is float32. So a model's own code, batch norm and the loss need
        # not know the precision.
        outputs = tf.cast(outputs, tf.float32, name=f"{name}/cast_outputs")
    for weight, regularizer in regularizers.items():
        if regularizer is not None:
            attribute = f"{weight}_kernel" if weight in ("depthwise", "pointwise") else weight
            if (variable := getattr(layer, attribute, None)) is not None:  # None: use_bias=False
                tower.variables.penalties.add(variable, regularizer)
    tower.activations[full_name] = outputs
    if kind in KINDS_WITH_KERNEL:
        scope = tf.get_variable_scope().name
        tower.weighted = towers.WeightedLayer(
            kind,
            f"{scope}/{name}" if scope else name,
            given,
            outputs,
            use_bias=arguments.get("use_bias", True),
            is_plain=arguments.get("activation") is None and not any(regularizers.values()),
        )
    return outputs


@contextlib.contextmanager
def _devices_known_to_keras(data_format: str | None) -> Iterator[None]:
    """Tell tf_keras the devices of this machine while it adds a layer with channels first.

    It asks a session for them, which it may have to open, and which then starts all variables that
    are there so far. In the caller's session they would start from other random numbers.
    """
    if data_format != "channels_first":
        yield
        return
    backend = legacy_convolutional.base.backend
    known = backend._LOCAL_DEVICES
    backend._LOCAL_DEVICES = known or tf.config.list_physical_devices()
    try:
        yield
    finally:
        backend._LOCAL_DEVICES = known


def check_training(training: Any, kind: str) -> None:
    """Refuse a layer that does not say whether the network is for training.

    Raises:
        UsageError: `training` is None.
    """
    if training is None:
        raise UsageError(
            f"{kind} needs training=training, the argument of the model; without it, tf.layers "
            "would compute as in inference, in training too"
        )


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
    name, full_name = tower.layer_name(name, kind)
    with tf.name_scope(name):
        outputs = function()
    tower.activations[full_name] = outputs
    return outputs


def _resolve_names(arguments: dict[str, Any], defaults: towers.LayerDefaults) -> None:
    """Find the initializers and activations that are given by name, and apply `--activation`.

    Args:
        arguments: of the layer's class, which are changed in place.
        defaults: the options for all layers.
    """
    for argument, value in arguments.items():
        if argument.endswith("_initializer") and isinstance(value, str):
            arguments[argument] = find_initializer(value)
    activation = arguments.get("activation")
    if activation is not None and defaults.activation is not None:
        activation = defaults.activation
    if isinstance(activation, str):
        arguments["activation"] = find_activation(activation)
