"""Statistics of each layer, as a TensorBoard summary."""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf


def build_layer_summaries(activations: dict[str, Any]) -> Any:
    """Add mean, sd, max, min and histogram of each layer's output, and each weight's histogram.

    Args:
        activations: name to output of each layer, float32 [batch, ...].

    Returns:
        bytes scalar, a serialized summary with tags LAYER/mean, /sd, /max, /min and /histogram, and
        weights/VARIABLE.
    """
    summaries = []
    for name, output in activations.items():
        mean, variance = tf.nn.moments(output, axes=list(range(output.shape.rank)))
        statistics = {
            "mean": mean,
            "sd": tf.sqrt(variance),
            "max": tf.reduce_max(output),
            "min": tf.reduce_min(output),
        }
        for statistic, value in statistics.items():
            # Raw ops, because those of tf.summary put the name scope in front of the tag.
            tag = f"{name}/{statistic}"
            summaries.append(tf.raw_ops.ScalarSummary(tags=tag, values=value))
        summaries.append(tf.raw_ops.HistogramSummary(tag=f"{name}/histogram", values=output))
    for variable in tf.trainable_variables():
        tag = f"weights/{variable.op.name}"
        summaries.append(tf.raw_ops.HistogramSummary(tag=tag, values=variable))
    return tf.summary.merge(summaries)
