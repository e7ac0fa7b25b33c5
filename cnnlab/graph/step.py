"""One training step: the network in training, its gradients, one update.

A step is a pure function of the variables, the step's number and its batch.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from cnnlab.base.tf1 import tf, tf2
from cnnlab.config.config import Config
from cnnlab.data.batches import Batch
from cnnlab.data.own_rows import OwnRows
from cnnlab.graph.micro_batches import PassResult, build_micro_batches
from cnnlab.graph.model_effects import Summaries, check_random_numbers, updates_of
from cnnlab.graph.parts import Parts, check_variables
from cnnlab.graph.update.averages import Averages
from cnnlab.graph.update.losses import training_losses
from cnnlab.graph.update.optimizers import build_update
from cnnlab.graph.update.precision import LossScale
from cnnlab.graph.update.rate import LearningRate
from cnnlab.graph.update.reduction import ALONE, Share, gather_buffers
from cnnlab.layers.kernels.choice import Kernels, isolates_pools
from cnnlab.layers.kernels.products import fast_product_gradients
from cnnlab.layers.kernels.sync_batch_norm import Channel
from cnnlab.layers.tower import LayerDefaults, Tower, building

APART: Final = "apart"  # scope of calls of functions whose operations run under their own names


class StepContext(NamedTuple):
    """What all steps share.

    config: the run's options.
    num_classes: number of classes.
    parts: the model, and the user's other functions.
    rate: the learning rate of each step.
    averages: the averages of the weights.
    global_step: the variable that counts steps.
    loss_scale: with precision float16; else None.
    kernels: how the layers are computed.
    is_last: returns a bool scalar, whether the step is the last one of its session run.
    state: the network's variables that passes update without gradients, such as moving averages.
    share: which of the workers of the run has this graph.
    own: the images whose inputs batches have; None: all.
    """

    config: Config
    num_classes: int
    parts: Parts
    rate: LearningRate
    averages: Averages
    global_step: Any
    loss_scale: LossScale | None
    kernels: Kernels
    is_last: Callable[[], Any] = lambda: tf.constant(False)
    state: Sequence[Any] = ()
    share: Share = ALONE
    own: OwnRows | None = None


class StepsMade(NamedTuple):
    """The outcome of some steps.

    made: int32 scalar, their number.
    objective: float32 scalar that the last one minimized. The steps end if it is not finite.
    last: of the last step's batch: logits float32 [batch, num_classes], and what losses need. See
        `cnnlab.data.batches.without_inputs`.
    init_ops: initialize the loop's own variables.
    waited: float64 scalar, seconds in which all steps so far have waited for images that are read
        while it trains; None: the images are resident.
    waited_for_workers: the same, for the gradients of other workers; None: there are none.
    """

    made: Any
    objective: Any
    last: Batch
    init_ops: Sequence[Any] = ()
    waited: Any = None
    waited_for_workers: Any = None


# Adds a loop of steps. Its arguments: the inference graph, the global step before the first step
# (int64 scalar) and the number of steps (int32 scalar). Placeholders may feed the first batch.
MakeSteps = Callable[[Any, Any, Any], StepsMade]


def choose_kernels(config: Config, logits: Any) -> Kernels:
    """Return the choice of kernels for training.

    Args:
        config: the run's options.
        logits: of the inference graph.
    """
    compiles_step = config.xla is True
    return Kernels(
        is_fast=config.fast_kernels,
        batch_size=config.batch_size // config.micro_batches,
        compiler="step" if compiles_step else None,
        isolates_step=isolates_pools(logits, compiles_step=compiles_step),
    )


def build_step(context: StepContext, batch: Batch, step: Any) -> tuple[Any, Any, Any]:
    """Add one update of all variables.

    Args:
        context: what all steps share.
        batch: see `cnnlab.data.batches`.
        step: int64 scalar, 0 for the first step.

    Returns:
        the objective, float32 scalar; the logits, float32 [batch, num_classes]; the update op.
    """

    def one_step(step: Any, batch: Batch) -> tuple[Any, Any]:
        objective, logits, update_op = build_plain_step(context, batch, step)
        with tf.control_dependencies([update_op]):
            return tf.identity(objective), tf.identity(logits)

    if context.config.xla is True:
        # Not TensorFlow's clusters (jit_scope, global_jit_level): they run uncompiled the first
        # time, so the results would depend on where a run was stopped.
        call = tf2.function(one_step, jit_compile=True, autograph=False)
    elif context.kernels.isolates_step:
        call = _apart(one_step)
    else:
        return build_plain_step(context, batch, step)
    objective, logits = call(step, batch)
    logits.set_shape([None, context.num_classes])
    return objective, logits, objective.op


def _apart(build: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that adds the same operations as one call, with its own graph.

    See `cnnlab.layers.kernels.choice.isolates_pools` for the reason. A call costs some
    microseconds, so steps without pools are not calls.
    """
    function = tf2.function(build, autograph=False, experimental_attributes={"_noinline": True})

    def call(*arguments: Any) -> Any:
        with tf.name_scope(APART):
            return function(*arguments)

    return call


def build_plain_step(context: StepContext, batch: Batch, step: Any) -> tuple[Any, Any, Any]:
    """Add one update of all variables as operations of the current graph; see `build_step`."""
    count = context.config.micro_batches
    if count == 1:
        result = _build_pass(context, batch, step)
    else:

        def build_pass(part: Batch, key_step: Any, is_last: Callable[[], Any]) -> PassResult:
            here = context._replace(is_last=lambda: context.is_last() & is_last())
            return _build_pass(here, part, key_step)

        result = build_micro_batches(
            build_pass,
            batch,
            step,
            count,
            num_classes=context.num_classes,
            share=context.share,
            state=context.state,
            rounds=context.config.reduce_dtype == "bfloat16",
            own=context.own,
            apart=_apart if context.kernels.isolates_step else None,
        )
    variables = tf.trainable_variables()

    def update() -> Any:
        rate = context.rate.at(step)
        return build_update(
            context.config,
            result.gradients,
            variables,
            rate,
            context.global_step,
            context.parts.optimizer,
        )

    # The objective is computed before the update. A gradient that is a constant would not wait.
    before = [result.objective]
    if result.updates:
        # Grouped: each operation of the update waits for one input, not for one of each layer.
        before.append(tf.group(*result.updates))
    with tf.name_scope("optimizer"), tf.control_dependencies(before):
        if context.loss_scale is None:
            update_op = update()
        else:
            update_op = context.loss_scale.build_update(
                result.gradients, update, context.global_step
            )
        update_op = context.averages.build_update(step, update_op)
    return result.objective, result.logits, update_op


def _build_pass(context: StepContext, batch: Batch, key_step: Any) -> PassResult:
    """Add the forward and backward pass over a batch; key_step: see `build_training_logits`."""
    config = context.config
    labels = batch.get("targets", batch["labels"])
    summaries = Summaries()
    logits, tower = build_training_logits(context, batch["inputs"], key_step, labels)
    with tf.name_scope("loss"):
        own, heads = context.parts.loss, context.parts.heads
        objective = tf.reduce_mean(training_losses(config, logits, batch, own, heads))
        if tower.penalties:
            objective += tf.add_n(tower.penalties)
    updates = updates_of(objective.graph)
    check_random_numbers([objective, *updates], is_allowed=config.allow_stateful_random)
    is_compiled = context.kernels.compiler is not None
    updates += summaries.build_update(objective.graph, context.is_last, is_compiled=is_compiled)
    with tf.name_scope("gradients"):
        variables = tf.trainable_variables()
        if context.loss_scale is not None:
            gradients = context.loss_scale.gradients(objective, variables)
        else:
            # Not gated, unlike in tf.train's optimizers. So the backward pass reaches the layer
            # before while the gradient of this layer's weights is still being computed.
            gradients = tf.gradients(objective, variables)
    return PassResult(objective, logits, gradients, updates)


def build_training_logits(
    context: StepContext, inputs: Any, key_step: Any, labels: Any = None
) -> tuple[Any, Tower]:
    """Add the forward pass in training.

    Args:
        context: what all steps share.
        inputs: float32 [batch, height, width, channels].
        key_step: int64 scalar, the step whose random numbers are drawn.
        labels: of the batch, for a model that takes them.

    Returns:
        the logits, float32 [batch, num_classes], and the tower.
    """
    config = context.config
    tower = Tower(
        config.seed,
        key_step,
        defaults=LayerDefaults.of(config),
        precision=config.precision,
        kernels=context.kernels,
        new_channel=_channels_of(context, key_step),
    )
    replaces_gradients = context.kernels.replaces_gradients
    gradients = fast_product_gradients() if replaces_gradients else contextlib.nullcontext()
    known = {variable.op.name for variable in tf.global_variables()}
    with building(tower), gradients:
        logits = context.parts.build_logits(
            inputs, context.num_classes, training=True, labels=labels
        )
    if known:  # inference has been built in this graph
        check_variables(known)
    return logits, tower


def _channels_of(context: StepContext, key_step: Any) -> Callable[[], Channel | None]:
    """Return a function that returns the way to the other workers of one more batch norm."""
    share, numbers = context.share, itertools.count(step=2)
    if share.workers == 1 or not context.config.sync_bn:
        return lambda: None

    def new_channel() -> Channel:
        first, step = next(numbers), key_step // context.config.micro_batches
        return Channel(
            forward=lambda values: gather_buffers(values, share, step, first),
            backward=lambda values: gather_buffers(values, share, step, first + 1),
        )

    return new_channel
