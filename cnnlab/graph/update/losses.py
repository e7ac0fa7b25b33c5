"""Losses, one of each example; the training step takes their mean.

The network's logits z become outputs p by `output`: softmax, sigmoid, tanh or linear (p = z).
Targets y are float32 [batch, num_classes]: 1 for the label's class and 0 for the others, unless
smoothed or mixed; or the data set's own targets: several labels an image, real values, or the
classes of several heads, for which see `cnnlab.graph.heads`. "mean" below is over the classes,
labels or values, as in Keras. With one unit for two classes, all of this is [batch, 1], of the
second class; see `cnnlab.graph.one_unit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnlab.base.tf1 import tf
from cnnlab.config.augmentations import mixes_labels
from cnnlab.graph.heads import (
    Heads,
    loss_of_heads,
    parted,
    probabilities_of_heads,
    smoothed_share,
)
from cnnlab.graph.one_unit import output_of_unit
from cnnlab.graph.own_results import Own, own_losses

if TYPE_CHECKING:
    from cnnlab.config.config import Config
    from cnnlab.data.specs import Targets

EPSILON = 1e-7  # keeps logarithms finite, as in Keras
CROSS_ENTROPIES = ("softmax", "sparse_softmax")  # of one label an example


def softmax_cross_entropy(labels: Any, logits: Any) -> Any:
    """Return -log softmax(logits)[label], in nats.

    Args:
        labels: int64 [batch], range [0, num_classes).
        logits: float32 [batch, num_classes], unscaled.

    Returns:
        float32 [batch], >= 0.
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def soft_cross_entropy(targets: Any, logits: Any) -> Any:
    """Return -sum y log softmax(z), in nats; the targets get no gradient."""
    return tf.nn.softmax_cross_entropy_with_logits_v2(
        labels=tf.stop_gradient(targets), logits=logits
    )


def binary_cross_entropy(targets: Any, logits: Any) -> Any:
    """Return the mean of -y log sigmoid(z) - (1 - y) log(1 - sigmoid(z)), in nats."""
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
    return tf.reduce_mean(losses, axis=1)


def mean_squared_error(targets: Any, outputs: Any) -> Any:
    """Return mean (y - p)^2."""
    return tf.reduce_mean(tf.math.squared_difference(targets, outputs), axis=1)


def mean_squared_log_error(targets: Any, outputs: Any) -> Any:
    """Return mean (log(1 + y) - log(1 + p))^2; outputs below 0 count as 0, as in Keras."""
    return mean_squared_error(tf.math.log1p(targets), tf.math.log1p(tf.nn.relu(outputs)))


def mean_absolute_error(targets: Any, outputs: Any) -> Any:
    """Return mean |y - p|."""
    return tf.reduce_mean(tf.abs(targets - outputs), axis=1)


def hinge(targets: Any, outputs: Any) -> Any:
    """Return mean max(0, 1 - (2 y - 1) p)."""
    return tf.reduce_mean(tf.nn.relu(1 - (2 * targets - 1) * outputs), axis=1)


def squared_hinge(targets: Any, outputs: Any) -> Any:
    """Return mean max(0, 1 - (2 y - 1) p)^2."""
    return tf.reduce_mean(tf.square(tf.nn.relu(1 - (2 * targets - 1) * outputs)), axis=1)


def kl_divergence(targets: Any, outputs: Any) -> Any:
    """Return sum y log(y / p), in nats; y and p are raised to at least 1e-7."""
    y, p = tf.clip_by_value(targets, EPSILON, 1.0), tf.clip_by_value(outputs, EPSILON, 1.0)
    return tf.reduce_sum(y * tf.math.log(y / p), axis=1)


# These take logits; the rest take outputs.
OF_LOGITS = {"softmax": soft_cross_entropy, "sigmoid": binary_cross_entropy}
OF_OUTPUTS = {
    "mse": mean_squared_error,
    "msle": mean_squared_log_error,
    "mae": mean_absolute_error,
    "hinge": hinge,
    "squared_hinge": squared_hinge,
    "kl": kl_divergence,
}


def outputs_of(logits: Any, output: str) -> Any:
    """Return the outputs of logits [batch, num_classes], of the same shape."""
    functions = {
        "softmax": tf.nn.softmax,
        "sigmoid": tf.nn.sigmoid,
        "tanh": tf.nn.tanh,
        "linear": tf.identity,
    }
    return functions[output](logits)


def probabilities_of(
    logits: Any,
    output: str,
    targets: Targets = "classes",
    *,
    has_one_unit: bool = False,
    heads: Heads = (),
) -> Any:
    """Return the classes' probabilities, float32 [batch, num_classes]; each row sums to 1.

    Of several labels an image, these are the sigmoid outputs as they are. Of real values, they are
    the outputs. Of several heads, the probabilities of each sum to 1.

    Sigmoid outputs p, and (1 + p) / 2 of tanh outputs p, are divided by their sum. Linear outputs
    are not probabilities, so their softmax is taken, which keeps the order of the classes. One unit
    gives [1 - p, p], where p is the sigmoid output, (1 + p) / 2 of a tanh output, or the sigmoid of
    a linear one.
    """
    if heads:
        return probabilities_of_heads(heads, logits)
    if targets == "labels":
        return tf.sigmoid(logits, name="probabilities")
    if targets == "values":
        return tf.identity(outputs_of(logits, output), name="probabilities")
    if has_one_unit:
        scale = 2 if output == "tanh" else 1  # (1 + tanh(z)) / 2 = sigmoid(2 z)
        return tf.nn.softmax(scale * logits, name="probabilities")
    if output == "tanh":
        return tf.nn.softmax(tf.math.log_sigmoid(2 * logits), name="probabilities")
    if output == "sigmoid":
        log_outputs = tf.math.log_sigmoid(logits)  # the sum may be too small to divide by
        return tf.nn.softmax(log_outputs, name="probabilities")
    return tf.nn.softmax(logits, name="probabilities")


def losses_of(
    config: Config,
    logits: Any,
    labels: Any,
    targets: Any = None,
    own: Own | None = None,
    heads: Heads = (),
) -> Any:
    """Return each example's loss as configured, without label smoothing.

    Args:
        config: gives loss and output.
        logits: float32 [batch, num_classes], unscaled.
        labels: int64 [batch], range [0, num_classes); or float32 [batch, num_classes], targets.
        targets: float32 [batch, num_classes], instead of the labels where labels are mixed or
            smoothed.
        own: the user's function, where the option loss names one. It gets the targets, one-hot if
            they are not mixed, in a run that mixes labels or has class_mode=categorical; else the
            labels.
        heads: of the data, whose labels are targets.

    Returns:
        float32 [batch].
    """
    if heads:
        given = labels if targets is None else targets
        if own is None:
            return loss_of_heads(heads, given, logits)
        one_hot = targets is not None or takes_one_hot(config, own)
        return own_losses(own, *parted(heads, given, logits, one_hot=one_hot))
    if targets is None and takes_one_hot(config, own):
        targets = as_targets(labels, logits)
    if config.has_one_unit:
        logits = output_of_unit(logits)
        targets = None if targets is None else targets[:, 1:]
    if own is not None:
        return own_losses(own, labels if targets is None else targets, logits)
    if targets is None:
        return softmax_cross_entropy(labels, logits)
    if config.loss in OF_LOGITS:
        return OF_LOGITS[config.loss](targets, logits)
    return OF_OUTPUTS[config.loss](targets, outputs_of(logits, config.resolved_output))


def given_to_own(config: Config, labels: Any, logits: Any, heads: Heads = ()) -> tuple[Any, Any]:
    """Return labels and logits of images as the user's metrics get them.

    Args:
        config: the run's options.
        labels: int64 [batch], range [0, num_classes); or float32 [batch, num_classes], targets.
        logits: float32 [batch, num_classes].
        heads: of the data, whose labels are targets.

    Returns:
        the labels, one-hot with class_mode=categorical; and the logits, float32 [batch, 1] with one
        unit. Of several heads, both are mappings from the head's name.
    """
    if heads:
        return parted(heads, labels, logits, one_hot=False)
    if config.class_mode == "categorical":
        labels = as_targets(labels, logits)
    return labels, output_of_unit(logits) if config.has_one_unit else logits


def takes_one_hot(config: Config, own: Own | None) -> bool:
    """Return whether the loss takes targets [batch, num_classes] also where no label is mixed."""
    if config.class_mode == "categorical":
        return True
    if own is not None:
        return mixes_labels(config.augment) is not None
    return config.loss not in CROSS_ENTROPIES


def as_targets(labels: Any, logits: Any) -> Any:
    """Return targets float32 [batch, num_classes]: the labels if they are, else one-hot."""
    return labels if len(labels.shape) == 2 else tf.one_hot(labels, logits.shape[1])


def smooth(config: Config, targets: Any, heads: Heads = ()) -> Any:
    """Return the smoothed targets, y (1 - e) + e / num_classes, each head by itself.

    Binary cross-entropy adds e / 2 instead, because its classes do not exclude each other. Szegedy
    et al. 2015 (arXiv 1512.00567, section 7).
    """
    if heads:
        share = smoothed_share(heads)
    else:
        share = 0.5 if config.loss == "sigmoid" else 1 / int(targets.shape[1])
    return targets * (1 - config.label_smoothing) + config.label_smoothing * share


def training_losses(
    config: Config,
    logits: Any,
    batch: dict[str, Any],
    own: Own | None = None,
    heads: Heads = (),
) -> Any:
    """Return each example's loss in training: with label smoothing, times its weight.

    The training step divides the sum by the batch size, not by the sum of the weights. So the
    contribution of an example does not depend on the others.

    Args:
        config: gives loss, output and label_smoothing.
        logits: float32 [batch, num_classes], unscaled.
        batch: labels, and if the run has them targets and weights; see `cnnlab.data.batches`.
        own: the user's function, where the option loss names one.
        heads: of the data.

    Returns:
        float32 [batch].
    """
    targets = batch.get("targets")
    if config.label_smoothing:
        if targets is None:
            targets = as_targets(batch["labels"], logits)
        targets = smooth(config, targets, heads)
    losses = losses_of(config, logits, batch["labels"], targets, own, heads)
    return losses * batch["weights"] if "weights" in batch else losses
