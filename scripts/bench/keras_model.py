"""A workload's network, loss and optimizer in Keras 3."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from bench import networks
from bench.workloads import DECAY_STEPS, Workload


def build_model(workload: Workload, image_shape: tuple[int, ...]) -> keras.Model:
    """The network from uint8 images [batch, height, width, channels] to logits."""
    factor, summand = workload.pixel_scale
    layers = [_keras_layer(layer) for layer in workload.layers]
    model = keras.Sequential(
        [keras.Input(image_shape, dtype="uint8"), keras.layers.Rescaling(factor, summand), *layers]
    )
    for layer in workload.layers:
        if isinstance(layer, networks.Conv) and layer.is_frozen:
            model.get_layer(layer.name).kernel.trainable = False
    return model


def load_weights(model: keras.Model, start_file: Path) -> None:
    """Take the weights that the file holds, each by its name."""
    with np.load(start_file) as start:
        for layer in model.layers:
            for variable in layer.weights:
                if (name := f"{layer.name}/{variable.name}") in start:
                    variable.assign(start[name])


def make_optimizer(workload: Workload) -> keras.optimizers.Optimizer:
    """The workload's optimizer and schedule."""
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
    """Mean cross-entropy of logits, of labels int [batch], or one-hot where these are smoothed."""
    if workload.label_smoothing:
        return keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=workload.label_smoothing
        )
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def training_labels(workload: Workload, labels: Any) -> Any:
    """Labels int [n] in the form that `make_loss` wants."""
    return keras.utils.to_categorical(labels, 10) if workload.label_smoothing else labels


def _keras_layer(layer: networks.Layer) -> keras.layers.Layer:
    match layer:
        case networks.Conv(name, filters, side, padding, use_bias):
            return keras.layers.Conv2D(filters, side, padding=padding, use_bias=use_bias, name=name)
        case networks.Dense(name, units, use_bias):
            return keras.layers.Dense(units, use_bias=use_bias, name=name)
        case networks.BatchNorm(name, momentum, epsilon):
            return keras.layers.BatchNormalization(
                momentum=momentum, epsilon=epsilon, scale=False, name=name
            )
        case networks.Activation(function):
            return keras.layers.Activation(function)
        case networks.MaxPool():
            return keras.layers.MaxPooling2D()
        case networks.GlobalMax():
            return keras.layers.GlobalMaxPooling2D()
        case networks.Flatten():
            return keras.layers.Flatten()
        case networks.Dropout(rate):
            return keras.layers.Dropout(rate)
        case networks.Scale(factor):
            return keras.layers.Rescaling(factor)
