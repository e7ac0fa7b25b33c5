"""Losses, an example each; the step takes their mean."""

from __future__ import annotations

from typing import Any

from cnnlab.tf1 import tf


def softmax_cross_entropy(labels: Any, logits: Any) -> Any:
    """-log softmax(logits)[label], in nats.

    Args:
        labels: int64 [batch], range [0, num_classes).
        logits: float32 [batch, num_classes], unscaled.

    Returns:
        float32 [batch], >= 0.
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
