"""Statistics of each layer, as a TensorBoard summary."""

from __future__ import annotations

from typing import Any, Final

from cnnlab.base.tf1 import tf

# Values of a histogram, which TensorFlow counts one by one. More would take longer than a step.
MOST_VALUES: Final = 2**16
_GOLDEN: Final = 0.6180339887498949


def build_layer_summaries(activations: dict[str, Any]) -> Any:
    """Add mean, sd, max, min and histogram of each layer's output, and each weight's histogram.

    A histogram is of at most MOST_VALUES values, the other statistics are of all.

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
        summaries.append(_histogram(f"{name}/histogram", output))
    for variable in tf.trainable_variables():
        summaries.append(_histogram(f"weights/{variable.op.name}", variable.read_value()))
    return tf.summary.merge(summaries)


def _histogram(tag: str, values: Any) -> Any:
    """Return a summary with the histogram of some values.

    Of more than MOST_VALUES values it takes MOST_VALUES. Multiples of the golden ratio spread their
    places evenly, over all channels too.

    Args:
        tag: names the histogram.
        values: float, any shape.

    Returns:
        bytes scalar, a serialized summary.
    """
    flat = tf.reshape(values, [-1])
    size = tf.size(flat, out_type=tf.int64)
    multiples = tf.cast(tf.range(MOST_VALUES), tf.float64) * _GOLDEN
    places = tf.cast((multiples - tf.floor(multiples)) * tf.cast(size, tf.float64), tf.int64)
    shown = tf.cond(size > MOST_VALUES, lambda: tf.gather(flat, places), lambda: flat)
    return tf.raw_ops.HistogramSummary(tag=tag, values=shown)
