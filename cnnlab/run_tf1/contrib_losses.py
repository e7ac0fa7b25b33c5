"""`tf.contrib.losses` and `tf.contrib.metrics`, whose predictions come before the labels."""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf


def names_of_losses() -> dict[str, Any]:
    """Return what `tf.contrib.losses` had, by name; its logits come before the labels."""

    def with_logits_first(loss: Any) -> Any:
        def contrib_loss(
            logits: Any, labels: Any, weights: Any = 1.0, *more: Any, **named: Any
        ) -> Any:
            return loss(labels, logits, weights, *more, **named)

        return contrib_loss

    names = "get_losses get_regularization_losses get_regularization_loss get_total_loss add_loss"
    return {
        **{name: getattr(tf.losses, name) for name in names.split()},
        "softmax_cross_entropy": with_logits_first(tf.losses.softmax_cross_entropy),
        "sparse_softmax_cross_entropy": with_logits_first(tf.losses.sparse_softmax_cross_entropy),
        "sigmoid_cross_entropy": with_logits_first(tf.losses.sigmoid_cross_entropy),
        "mean_squared_error": with_logits_first(tf.losses.mean_squared_error),
        "absolute_difference": with_logits_first(tf.losses.absolute_difference),
        "log_loss": with_logits_first(tf.losses.log_loss),
        "hinge_loss": with_logits_first(tf.losses.hinge_loss),
        "compute_weighted_loss": tf.losses.compute_weighted_loss,
    }


def names_of_metrics() -> dict[str, Any]:
    """Return what `tf.contrib.metrics` had, by name; its predictions come before the labels."""

    def predictions_first(metric: Any) -> Any:
        def streaming(predictions: Any, labels: Any, *more: Any, **named: Any) -> Any:
            return metric(labels, predictions, *more, **named)

        return streaming

    streaming = {
        f"streaming_{name}": predictions_first(getattr(tf.metrics, name))
        for name in ("accuracy", "precision", "recall", "auc", "mean_squared_error")
    }
    return {
        **streaming,
        "streaming_mean": tf.metrics.mean,
        "accuracy": lambda predictions, labels, weights=None, name=None: tf.reduce_mean(
            tf.cast(tf.equal(predictions, labels), tf.float32), name=name
        ),
        "confusion_matrix": tf.math.confusion_matrix,
        "aggregate_metric_map": lambda pairs: (
            {name: pair[0] for name, pair in pairs.items()},
            {name: pair[1] for name, pair in pairs.items()},
        ),
        "aggregate_metrics": lambda *pairs: tuple(map(list, zip(*pairs, strict=True))),
    }
