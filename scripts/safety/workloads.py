"""What torture.py trains. Add each new ingredient of training to one of these workloads."""

from __future__ import annotations

import math
from typing import Any

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.layers.tower import current

# Short distances between all kinds of writes, so that kills hit each of them.
_RHYTHM = {"summary_steps": 10, "eval_steps": 30, "checkpoint_steps": 40, "eval_examples": 300}


def all_features_model(images: Any, num_classes: int, *, training: bool) -> Any:
    """Return the logits of a small network with batch norm and dropout.

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of classes.
        training: whether batch norm and dropout work as in training.

    Returns:
        float32 [batch, num_classes], unscaled.
    """
    x = layers.conv2d(images, 16, 3, padding="same", use_bias=False, name="conv1")
    x = tf.nn.relu(layers.batch_normalization(x, training=training, momentum=0.9, name="norm1"))
    x = layers.max_pooling2d(x, 2, 2, name="pool1")
    x = layers.flatten(layers.conv2d(x, 16, 3, activation=tf.nn.relu, name="conv2"))
    x = layers.dropout(x, 0.4, training=training, name="dropout")
    return layers.dense(x, num_classes, name="logits")


def fragile_model(images: Any, num_classes: int, *, training: bool) -> Any:
    """Return the logits of a linear network whose loss becomes NaN after a while.

    It becomes NaN when the sum of all learning rates so far exceeds 1: after 1 / learning_rate
    steps, and later after each rollback. Arguments and result are those of `all_features_model`.
    """
    progress = tf.get_variable("progress", [], initializer=tf.zeros_initializer())
    logits = layers.dense(layers.flatten(images), num_classes, name="logits")
    if not training:
        return logits
    current().penalties.append(-progress)  # its gradient is -1: each step adds the learning rate
    return logits + tf.where(progress > 1, math.nan, 0.0)


def options_of(workload: str, data_dir: str) -> dict[str, Any]:
    """Return the options of Train for a workload.

    Args:
        workload: a name of WORKLOADS.
        data_dir: folder of the data files, for the data sets that have some.
    """
    return {**WORKLOADS[workload], "data_dir": data_dir}


WORKLOADS: dict[str, dict[str, Any]] = {
    "cifar_cnn": {**_RHYTHM, "dataset": "cifar10", "batch_size": 16, "steps": 600},
    "all_features": {
        **_RHYTHM,
        "dataset": "shapes",
        "model": all_features_model,
        "batch_size": 32,
        "steps": 1500,
        "learning_rate": 0.003,
        "augment": ["flip", {"pad_and_crop": {"pixels": 4}}],
        "scaling": "standardize",
        "validation_split": 0.1,
        "schedule": "plateau",
        "plateau_patience": 2,
        "ema_decay": 0.99,
        "early_stopping": 1000,  # never stops the run, whose length must be known
        "keep_every": 400,
        "max_to_keep": 2,
    },
    "rollback": {
        **_RHYTHM,
        "dataset": "shapes",
        "model": fragile_model,
        "batch_size": 32,
        "steps": 1500,
        "optimizer": "sgd",
        "schedule": "constant",
        "learning_rate": 0.01,
        "on_nan": "rollback",
        "max_rollbacks": 40,
    },
}
