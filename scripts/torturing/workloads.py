"""What is trained while it is being killed. A new ingredient of training is added here, once."""

from __future__ import annotations

import math
from typing import Any

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.layers.tower import current

# Short distances between all kinds of writes, so that kills hit each of them.
_RHYTHM = {"summary_steps": 10, "eval_steps": 30, "checkpoint_steps": 40, "eval_examples": 300}


def all_features_model(images: Any, num_classes: int, *, training: bool) -> Any:
    """A small network with batch norm and dropout: images float32 [batch, height, width, channels]
    to logits float32 [batch, num_classes]."""
    x = layers.conv2d(images, 16, 3, padding="same", use_bias=False, name="conv1")
    x = tf.nn.relu(layers.batch_normalization(x, training=training, name="norm1"))
    x = layers.max_pooling2d(x, 2, 2, name="pool1")
    x = layers.flatten(layers.conv2d(x, 16, 3, activation=tf.nn.relu, name="conv2"))
    x = layers.dropout(x, 0.4, training=training, name="dropout")
    return layers.dense(x, num_classes, name="logits")


def fragile_model(images: Any, num_classes: int, *, training: bool) -> Any:
    """A linear network whose loss becomes NaN when the sum of all learning rates so far passes 1.

    So the first failure comes after 1 / learning_rate steps, and each rollback puts it off.
    """
    progress = tf.get_variable("progress", [], initializer=tf.zeros_initializer())
    logits = layers.dense(layers.flatten(images), num_classes, name="logits")
    if not training:
        return logits
    current().penalties.append(-progress)  # its gradient is -1: each step adds the learning rate
    return logits + tf.where(progress > 1, math.nan, 0.0)


def options_of(workload: str, data_dir: str) -> dict[str, Any]:
    """The options of Train for a workload.

    Args:
        workload: a name of WORKLOADS.
        data_dir: folder of the data files, for those that need some.
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
        "early_stopping": 1000,  # watches, and does not stop: how long a run is must be known
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
