"""One output for two classes: a binary network, in the form that all other code works with.

The network's only output z tells the second class. Everything after the network has two logits,
-z / 2 and z / 2: their softmax is [1 - p, p] with p = sigmoid(z), and the greater one is that of
the predicted class. So p > 1/2 means the second class; Keras's binary accuracy has this threshold.
"""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf


def logits_of_both(z: Any) -> Any:
    """Return -z / 2 and z / 2, float32 [batch, 2], of z, float32 [batch, 1]."""
    return tf.concat([z * -0.5, z * 0.5], axis=1, name="both_classes")


def output_of_unit(logits: Any) -> Any:
    """Return z, float32 [batch, 1], of -z / 2 and z / 2, float32 [batch, 2]; it is exact."""
    return logits[:, 1:] - logits[:, :1]
