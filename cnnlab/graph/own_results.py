"""What the user's own functions must return: losses, learning rates, optimizers, metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from cnnlab.base.errors import CnnlabError
from cnnlab.base.own_calls import call_own, described, wrong_result
from cnnlab.base.tf1 import tf
from cnnlab.base.user_code import place_of, user_code

Own = Callable[..., Any]

_LOSSES: Final = "a float32 tensor [batch], the loss of each image"
_RATE: Final = "a number or a float scalar, the learning rate of the step"
_OPTIMIZER: Final = (
    "a tf.train.Optimizer of TensorFlow 1, such as tf.train.AdamOptimizer(learning_rate)"
)
_METRIC: Final = (
    "a tensor [batch], the figure of each image, or a scalar, the figure of all images together"
)


def own_losses(function: Own, labels: Any, logits: Any) -> Any:
    """Return the losses of a function of the user's.

    Args:
        function: (labels, logits) -> float32 [batch].
        labels: int64 [batch], or float32 [batch, k]; see `losses_of`.
        logits: float32 [batch, num_classes], unscaled. Of several heads, labels and logits are
            mappings from the head's name.

    Returns:
        float32 [batch].

    Raises:
        CnnlabError: the function fails, or returns something else.
    """
    losses = call_own(function, _LOSSES, labels, logits)
    logits = _first(logits)
    is_vector = losses.shape.rank in (1, None)
    if losses.dtype != tf.float32 or not is_vector or _has_another_length(losses, logits):
        raise wrong_result(function, described(losses), _LOSSES)
    return tf.reshape(losses, tf.shape(logits)[:1], name="losses")  # refuses another number


def own_rate(function: Own, step: Any) -> Any:
    """Return the learning rate of a step by a function of the user's.

    Args:
        function: (step) -> float scalar.
        step: int64 scalar, 0 for the first update.

    Returns:
        float32 scalar.

    Raises:
        CnnlabError: the function fails, or returns something else.
    """
    rate = call_own(function, _RATE, step)
    if not rate.dtype.is_floating or rate.shape.rank not in (0, None):
        raise wrong_result(function, described(rate), _RATE)
    rate = tf.ensure_shape(tf.cast(rate, tf.float32), [])
    return tf.debugging.check_numerics(
        rate, f"{place_of(function)} returned a learning rate that is not finite"
    )


def own_optimizer(function: Own, rate: Any) -> Any:
    """Return the optimizer that a function of the user's makes.

    Args:
        function: (learning_rate) -> `tf.train.Optimizer`.
        rate: float32 scalar tensor.

    Raises:
        CnnlabError: the function fails, returns something else, or an optimizer with its own way
            to compute gradients, which would not be used.
    """
    with user_code():
        optimizer = function(rate)
    if not isinstance(optimizer, tf.train.Optimizer):
        raise wrong_result(function, described(optimizer), _OPTIMIZER)
    for name in ("compute_gradients", "minimize"):
        if getattr(type(optimizer), name) is not getattr(tf.train.Optimizer, name):
            raise CnnlabError(
                f"{place_of(function)} returned a {type(optimizer).__name__}, whose {name} differs "
                "from tf.train.Optimizer's; cnnlab computes the gradients itself, so change them "
                "in apply_gradients"
            )
    return optimizer


def apply_own_optimizer(function: Own, rate: Any, group: list[Any]) -> Any:
    """Add the update of some variables by the user's optimizer.

    Args:
        function: (learning_rate) -> `tf.train.Optimizer`.
        rate: float32 scalar tensor.
        group: pairs of gradient and variable.

    Returns:
        the op.

    Raises:
        CnnlabError: the optimizer fails, or does not use its learning rate.
    """
    given = tf.identity(rate, "learning_rate")
    optimizer = own_optimizer(function, given)
    what = f"{place_of(function)} returned a {type(optimizer).__name__}, which"
    try:
        with user_code():
            applied = optimizer.apply_gradients(group)
    except NotImplementedError as error:
        raise CnnlabError(
            f"{what} has no _resource_apply_dense(grad, handle); all variables are resource "
            "variables, so write this method"
        ) from error
    if not isinstance(applied, tf.Operation | tf.Tensor):
        raise CnnlabError(f"{what} returned {described(applied)} from apply_gradients, not an op")
    if not given.consumers():
        raise CnnlabError(
            f"{what} does not use the learning rate, so the schedule would have no effect; pass "
            "the argument on to it, and set --learning_rate and --schedule"
        )
    return tf.group(applied)


class OwnMetric(NamedTuple):
    """A metric of the user's in the graph.

    figures: float64 [batch], or a scalar.
    place: where the function is defined.
    """

    figures: Any
    place: str


def own_metric(function: Own, labels: Any, logits: Any) -> OwnMetric:
    """Return the metric of a function of the user's, for all images of a split together.

    Args:
        function: (labels, logits) -> [batch] or a scalar, numbers or bools.
        labels: int64 [batch], or float32 [batch, k].
        logits: float32 [batch, num_classes], unscaled. Of several heads, labels and logits are
            mappings from the head's name.

    Raises:
        CnnlabError: the function fails, or returns something else.
    """
    figure = call_own(function, _METRIC, labels, logits)
    is_number = figure.dtype.is_floating or figure.dtype.is_integer or figure.dtype.is_bool
    fits = figure.shape.rank in (0, 1, None) and not _has_another_length(figure, _first(logits))
    if not (is_number and fits):
        raise wrong_result(function, described(figure), _METRIC)
    return OwnMetric(tf.cast(figure, tf.float64), place_of(function))


def _first(logits: Any) -> Any:
    """Return the logits of the first head, or the only ones."""
    return next(iter(logits.values())) if isinstance(logits, Mapping) else logits


def _has_another_length(values: Any, logits: Any) -> bool:
    """Return whether a vector has a fixed length where the batch has none, or another one."""
    if values.shape.rank != 1 or values.shape[0] is None:
        return False
    return bool(values.shape[0] != logits.shape[0])
