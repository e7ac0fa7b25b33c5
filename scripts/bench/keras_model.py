"""A workload's network, loss and optimizer in Keras 3."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from scripts.bench import networks
from scripts.bench.workloads import DECAY_STEPS, NUM_CLASSES, Workload


def build_model(workload: Workload, image_shape: tuple[int, ...]) -> keras.Model:
    """Return the network from uint8 images [batch, height, width, channels] to logits."""
    factor, summand = workload.pixel_scale
    images = keras.Input(image_shape, dtype="uint8")
    x = keras.layers.Rescaling(factor, summand)(images)
    for layer in workload.layers:
        x = _apply(layer, x)
    model = keras.Model(images, x)
    for layer in workload.layers:
        if isinstance(layer, networks.Conv) and layer.is_frozen:
            model.get_layer(layer.name).kernel.trainable = False
    return model


def load_weights(model: keras.Model, start_file: Path) -> None:
    """Load the weights of a start file, each by its name."""
    with np.load(start_file) as start:
        for layer in model.layers:
            for variable in layer.weights:
                name = f"{layer.name.replace('.', '/')}/{variable.name}"
                if name in start:
                    variable.assign(start[name])


def make_optimizer(workload: Workload) -> keras.optimizers.Optimizer:
    """Return the workload's optimizer with its learning-rate schedule."""
    rate: Any = workload.learning_rate
    if workload.decay_rate != 1:
        rate = keras.optimizers.schedules.ExponentialDecay(
            rate, DECAY_STEPS, workload.decay_rate, staircase=True
        )
    if workload.optimizer == "adam":
        return keras.optimizers.Adam(rate, epsilon=1e-8)
    is_nesterov = workload.optimizer == "nesterov"
    return keras.optimizers.SGD(rate, momentum=workload.momentum, nesterov=is_nesterov)


def make_loss(workload: Workload) -> keras.losses.Loss:
    """Return the mean cross-entropy of logits and labels from `training_labels`."""
    if workload.label_smoothing:
        return keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=workload.label_smoothing
        )
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def training_labels(workload: Workload, labels: Any) -> Any:
    """Return labels int [n] as the loss takes them: one-hot if they are smoothed."""
    return keras.utils.to_categorical(labels, NUM_CLASSES) if workload.label_smoothing else labels


def _apply(layer: networks.Layer, x: Any) -> Any:
    if isinstance(layer, networks.Residual):
        stride, more = layer.stride, layer.filters - x.shape[3]
        shortcut = x[:, ::stride, ::stride] if stride > 1 else x
        if more:
            shortcut = keras.ops.pad(shortcut, [[0, 0], [0, 0], [0, 0], [0, more]])
        for inner in layer.layers:
            x = _apply(inner, x)
        return keras.ops.relu(x + shortcut)
    if isinstance(layer, networks.Conv) and layer.stride > 1:
        # Keras would pad only the right and lower sides for "same".
        x = keras.layers.ZeroPadding2D(layer.side // 2)(x)
        layer = layer._replace(is_padded=False)
    return _keras_layer(layer)(x)


def _keras_layer(layer: networks.Layer) -> keras.layers.Layer:
    match layer:
        case networks.Conv(name, filters, side, is_padded, use_bias):
            return keras.layers.Conv2D(
                filters,
                side,
                strides=layer.stride,
                padding="same" if is_padded else "valid",
                use_bias=use_bias,
                name=_own_name(name),
            )
        case networks.Dense(name, units, use_bias):
            return keras.layers.Dense(units, use_bias=use_bias, name=_own_name(name))
        case networks.BatchNorm(name, momentum, epsilon, has_scale):
            return keras.layers.BatchNormalization(
                momentum=momentum, epsilon=epsilon, scale=has_scale, name=_own_name(name)
            )
        case networks.Activation(function):
            return keras.layers.Activation(function)
        case networks.MaxPool():
            return keras.layers.MaxPooling2D()
        case networks.GlobalMax():
            return keras.layers.GlobalMaxPooling2D()
        case networks.GlobalMean():
            return keras.layers.GlobalAveragePooling2D()
        case networks.Flatten():
            return keras.layers.Flatten()
        case networks.Dropout(rate):
            return keras.layers.Dropout(rate)
        case networks.Scale(factor):
            return keras.layers.Rescaling(factor)
    raise TypeError(layer)


def _own_name(name: str) -> str:
    """Return a layer's name for Keras, which allows no slash."""
    return name.replace("/", ".")
