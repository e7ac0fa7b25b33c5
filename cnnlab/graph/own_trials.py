"""A trial of the user's functions, each in an empty graph, before the graph of a run is built.

It finds what would only fail later, and what would change a run without a word: random numbers
that are not a function of the step, and learning rates that depend on more than the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from cnnlab.base.errors import CnnlabError
from cnnlab.base.own_calls import PYTHON_CODE, check_stateless
from cnnlab.base.randomness import StepKeys
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import open_session, tf, translate_op_errors
from cnnlab.base.user_code import place_of
from cnnlab.config.augmentations import mixes_labels
from cnnlab.config.config import Config
from cnnlab.data.augment import parse_augmentations, shape_after
from cnnlab.data.augment.own_augmentation import apply_own
from cnnlab.data.resident import label_shape, label_type
from cnnlab.data.specs import DatasetSpec
from cnnlab.graph.heads import Heads, parted
from cnnlab.graph.own_results import own_losses, own_metric, own_optimizer, own_rate
from cnnlab.graph.parts import Parts

_RANDOM: Final = "for random numbers use a tf.random.stateless_* op with a fixed seed"
_OF_KEY: Final = "use tf.random.stateless_* ops with seed=key"


def try_own_functions(parts: Parts, config: Config, spec: DatasetSpec) -> None:
    """Build each of the user's functions, but for the model, once, and check what it returns.

    Args:
        parts: the functions.
        config: the run's options.
        spec: gives the shapes of images and labels.

    Raises:
        CnnlabError: a function fails, or returns what its option cannot use. The message names the
            user's line.
    """
    checks = not config.allow_stateful_random
    if parts.loss is not None:
        _try_loss(parts.loss, config, spec, parts.heads)
    for function in parts.metrics.values():
        with _trial(function, _RANDOM, PYTHON_CODE, checks=checks):
            own_metric(function, *_given(config, spec, parts.heads, are_mixed=False)[:2])
    if parts.schedule is not None:
        _try_schedule(parts.schedule, config)
    if parts.optimizer is not None:
        with building_in(tf.Graph()):
            own_optimizer(parts.optimizer, tf.placeholder(tf.float32, [], "learning_rate"))
    entries = parse_augmentations(config.augment)
    for position, function in parts.augmentations.items():
        shape = shape_after(config.augment[:position], spec.image_shape)
        with _trial(function, _OF_KEY, checks=checks):
            images = tf.placeholder(tf.float32, [None, *shape], "images")
            keys = StepKeys(config.seed, tf.placeholder(tf.int64, [], "step"))
            apply_own(function, images, keys, entries[position][1])


def _try_loss(
    function: Callable[..., Any], config: Config, spec: DatasetSpec, heads: Heads
) -> None:
    with _trial(function, _RANDOM, checks=not config.allow_stateful_random):
        are_mixed = mixes_labels(config.augment) is not None
        labels, logits, joined = _given(config, spec, heads, are_mixed=are_mixed)
        losses = own_losses(function, labels, logits)
        if tf.gradients(losses, joined)[0] is None:
            raise CnnlabError(
                f"{place_of(function)} returned losses that have no gradient with respect to the "
                "logits, so nothing would be learned; tf.argmax, tf.round, comparisons and casts "
                "to integers have none"
            )


def _try_schedule(function: Callable[..., Any], config: Config) -> None:
    """Check the learning rate of the first steps; later ones are checked when they are made."""
    with _trial(function, "compute the rate from the step alone") as graph:
        step = tf.placeholder(tf.int64, [], "step")
        rate = own_rate(function, step)
    with open_session(graph) as session:
        for number in range(min(2, config.steps or 2)):
            with translate_op_errors(f"the learning rate of step {number}"):
                found = float(session.run(rate, {step: number}))
            if found < 0:
                raise CnnlabError(
                    f"{place_of(function)} returned the learning rate {found:g} for step {number}; "
                    "it must be >= 0"
                )


@contextmanager
def _trial(
    function: Callable[..., Any], cure: str, allowed: tuple[str, ...] = (), *, checks: bool = True
) -> Iterator[Any]:
    """Build in an empty graph what the block builds; refuse operations with state if `checks`."""
    graph = tf.Graph()
    with building_in(graph):
        yield graph
    if checks:
        check_stateless(function, graph, cure, allowed)


def _given(
    config: Config, spec: DatasetSpec, heads: Heads, *, are_mixed: bool
) -> tuple[Any, Any, Any]:
    """Return labels and logits as the user's functions get them, and the logits of all heads."""
    num_outputs = 1 if config.has_one_unit else spec.num_classes
    logits = tf.placeholder(tf.float32, [None, num_outputs], "logits")
    if are_mixed or config.class_mode == "categorical":
        labels = tf.placeholder(tf.float32, [None, num_outputs], "labels")
    else:
        labels = tf.placeholder(label_type(spec), [None, *label_shape(spec)], "labels")
    if heads:
        return *parted(heads, labels, logits, one_hot=are_mixed), logits
    return labels, logits, logits
