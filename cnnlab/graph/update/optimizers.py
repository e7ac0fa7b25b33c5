"""Update rules, as in TensorFlow 1's optimizers.

w is a weight, g its gradient, r the learning rate.

sgd: w -= r g.
momentum: m = momentum m + g; w -= r m (Polyak 1964).
nesterov: m = momentum m + g; w -= r (g + momentum m) (Sutskever et al. 2013).
adagrad: a += g^2; w -= r g / sqrt(a), a starts at 0.1 (Duchi et al. 2011).
rmsprop: a = rho a + (1 - rho) g^2; m = momentum m + r g / sqrt(a + epsilon); w -= m; a starts at 1
    (Tieleman and Hinton 2012).
adam: m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
    w -= r sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon), t = 1, 2, ... (Kingma and Ba
    2014, arXiv 1412.6980, end of section 2).
adamw: w -= r weight_decay w, then adam (Loshchilov and Hutter 2017, arXiv 1711.05101).
muon: see `cnnlab.graph.update.muon`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config
from cnnlab.config.update_options import settings_of
from cnnlab.graph.model_effects import check_random_numbers
from cnnlab.graph.own_results import Own, apply_own_optimizer
from cnnlab.graph.update.muon import MOMENTUM_OF_REST, make_muon


def _given(value: float | None, default: float) -> float:
    return default if value is None else value


def _momentum(config: Config, rate: Any) -> Any:
    return tf.train.MomentumOptimizer(rate, _given(config.momentum, 0.9))


def _nesterov(config: Config, rate: Any) -> Any:
    return tf.train.MomentumOptimizer(rate, _given(config.momentum, 0.9), use_nesterov=True)


def _rmsprop(config: Config, rate: Any) -> Any:
    return tf.train.RMSPropOptimizer(
        rate,
        decay=_given(config.rho, 0.9),
        momentum=_given(config.momentum, 0.0),
        epsilon=_given(config.epsilon, 1e-10),
    )


def _adam(config: Config, rate: Any) -> Any:
    return tf.train.AdamOptimizer(
        rate,
        beta1=_given(config.beta1, 0.9),
        beta2=_given(config.beta2, 0.999),
        epsilon=_given(config.epsilon, 1e-8),
    )


OPTIMIZERS: dict[str, Callable[[Config, Any], Any]] = {
    "sgd": lambda _config, rate: tf.train.GradientDescentOptimizer(rate),
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adagrad": lambda _config, rate: tf.train.AdagradOptimizer(rate),
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adam,  # the decay is applied before it
    # For weights that are not convolution kernels.
    "muon": lambda _config, rate: tf.train.MomentumOptimizer(
        rate, MOMENTUM_OF_REST, use_nesterov=True
    ),
}


def make_optimizer(config: Config, learning_rate: Any) -> Any:
    """Return the optimizer that the options name; for muon, the one for all other weights.

    Args:
        config: gives the optimizer's name and its options.
        learning_rate: float32 scalar tensor.

    Returns:
        a `tf.train.Optimizer`.
    """
    return OPTIMIZERS[config.optimizer](config, learning_rate)


class Treatment(NamedTuple):
    """How one variable is updated.

    by_muon: whether Muon updates it.
    rate_factor: factor on the learning rate; 0 freezes it.
    decay: weight decay.
    first_step: the variable is updated from this step on, 0 or later.
    steps: the variable is updated in the first `steps` steps only; None: in all steps.
    """

    by_muon: bool
    rate_factor: float
    decay: float
    first_step: int
    steps: float | None


def treatment_of(config: Config, variable: Any) -> Treatment:
    """Return how the options say that a variable is updated.

    The first of parameter_groups whose pattern is found in the variable's name counts. If it does
    not mention weight decay, kernels (and other weights of two or more dimensions) decay and the
    rest does not. Weights that Muon updates never decay, because Muon gives them a fixed norm.
    """
    by_muon = config.optimizer == "muon" and variable.shape.rank == 4
    factors: dict[str, float] = {"weight_decay": 1.0 if variable.shape.rank >= 2 else 0.0}
    factors.update(settings_of(config.parameter_groups, variable.op.name))
    decay = 0.0 if by_muon else config.weight_decay * factors["weight_decay"]
    first_step = int(factors.get("from", 0))
    return Treatment(by_muon, factors.get("rate", 1.0), decay, first_step, factors.get("steps"))


def build_update(
    config: Config,
    gradients: list[Any],
    variables: list[Any],
    rate: Any,
    global_step: Any,
    own: Own | None = None,
) -> Any:
    """Add the update of all variables: clipping, weight decay, the rule; and count the step.

    Args:
        config: gives the options of the update.
        gradients: of each variable; None where it does not enter the loss.
        variables: in the same order.
        rate: float32 scalar, the schedule's learning rate.
        global_step: the variable that counts steps.
        own: the user's function, where the option optimizer names one. Each parameter group has
            an optimizer of its own.

    Returns:
        the op.

    Raises:
        UsageError: a pattern of parameter_groups is found in no variable's name.
        CnnlabError: the loss depends on no variable, or the user's optimizer fails or draws
            random numbers that a resumed run would not draw again.
    """
    _check_patterns(config, variables)
    pairs = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
    if not pairs:
        raise CnnlabError("the loss has no gradient with respect to any variable of the network")
    if config.clip_norm is not None:
        # Pascanu et al. 2012 (arXiv 1211.5063).
        all_gradients = [g for g, _ in pairs]
        norm = global_norm(all_gradients)
        clipped, _ = tf.clip_by_global_norm(all_gradients, config.clip_norm, norm)
        pairs = [(g, v) for g, (_, v) in zip(clipped, pairs, strict=True)]
    treated = [(g, v, treatment_of(config, v)) for g, v in pairs]

    def is_trained(first_step: int, steps: float | None) -> Any:
        """Return whether a group is updated in this step, a bool scalar; None: in all steps."""
        if not first_step:
            return None if steps is None else global_step.read_value() < int(steps)
        is_late = global_step.read_value() >= first_step
        return is_late if steps is None else is_late & (global_step.read_value() < int(steps))

    def rate_of(factor: float, treatment: Treatment) -> Any:
        condition = is_trained(treatment.first_step, treatment.steps)
        return rate * factor if condition is None else tf.where_v2(condition, rate * factor, 0.0)

    is_decoupled = config.weight_decay_mode == "decoupled" or config.optimizer == "adamw"
    decay_ops = []
    if is_decoupled:
        # After every gradient is computed, because they belong to the weights before the decay.
        with tf.control_dependencies([tf.group(*[g for g, _ in pairs])]):
            decay_ops = [
                v.assign_sub(rate_of(t.rate_factor * t.decay, t) * v.read_value())
                for _, v, t in treated
                if t.decay and t.rate_factor
            ]
    else:
        treated = [(g + t.decay * v if t.decay else g, v, t) for g, v, t in treated]
    groups: dict[tuple[bool, float, int, float | None], list[Any]] = {}
    for gradient, variable, treatment in treated:
        if treatment.rate_factor:  # 0 freezes
            _, factor, _, first_step, steps = treatment
            key = (treatment.by_muon, factor, first_step, steps)
            groups.setdefault(key, []).append((gradient, variable))
    with tf.control_dependencies([tf.group(*decay_ops)] if decay_ops else []):
        if own is None and groups.keys() == {(False, 1.0, 0, None)}:
            return make_optimizer(config, rate).apply_gradients(
                groups[False, 1.0, 0, None], global_step=global_step
            )
        updates = []
        for (by_muon, factor, first_step, steps), group in groups.items():
            make = make_muon if by_muon else make_optimizer
            apply = functools.partial(_apply, make, config, own, rate * factor, group)
            if (condition := is_trained(first_step, steps)) is None:
                updates.append(apply())
                continue
            # Otherwise nothing changes at all: with a rate of 0, momentum would still be at work.
            updates.append(tf.cond(condition, functools.partial(_in_branch, apply), tf.no_op))
    if own is not None:
        check_random_numbers(updates, is_allowed=config.allow_stateful_random)
    with tf.control_dependencies(updates):
        return global_step.assign_add(1).op


def _apply(
    make: Callable[..., Any], config: Config, own: Own | None, rate: Any, group: list[Any]
) -> Any:
    """Add the update of a group: pairs of gradient and variable."""
    if own is not None:
        return apply_own_optimizer(own, rate, group)
    return make(config, rate).apply_gradients(group)


def _in_branch(apply: Callable[[], Any]) -> Any:
    """Add the update of a group in a branch, whose graph has no name scope yet."""
    with tf.name_scope("optimizer"):
        return apply()


def global_norm(gradients: list[Any]) -> Any:
    """Return the norm of all gradients together, float32 scalar.

    Where their squares are too large for float32, they are first divided by the largest.
    """
    norm = tf.linalg.global_norm(gradients)
    largest = tf.reduce_max([tf.reduce_max(tf.abs(g)) for g in gradients])
    scaled = tf.linalg.global_norm([g / largest for g in gradients])
    return tf.where_v2(tf.is_finite(norm), norm, largest * scaled)


def _check_patterns(config: Config, variables: list[Any]) -> None:
    names = [variable.op.name for variable in variables]
    for pattern in config.parameter_groups:
        if not any(re.search(pattern, name) for name in names):
            raise UsageError(
                f"--parameter_groups: {pattern} is found in no variable's name; these are "
                f"{', '.join(names)}"
            )
