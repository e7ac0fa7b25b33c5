"""The training graph.

It holds the network twice, over the same variables. The inference graph is at the top level, on the
placeholders; see `cnnlab.graph.inference_graph`. The training network is in the body of a while
loop, which makes many steps in one session run. It makes them one by one (`cnnlab.graph.steps`), or
for the smallest networks many in one compiled operation (`cnnlab.graph.compiled_steps`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from cnnlab.base.errors import UsageError
from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config
from cnnlab.data.batches import Batch, BatchSource
from cnnlab.data.datasets import Split
from cnnlab.data.own_rows import OwnRows, can_be_prepared_alone
from cnnlab.data.sampling import epoch_size
from cnnlab.data.specs import DatasetSpec, Targets
from cnnlab.data.step_rows import StepRows
from cnnlab.graph.compiled_steps import make_compiled_steps, steps_to_compile
from cnnlab.graph.heads import Heads, are_correct, heads_of
from cnnlab.graph.inference_graph import InferenceGraph, build_inference_graph
from cnnlab.graph.layer_summaries import build_layer_summaries
from cnnlab.graph.model_effects import collections_kept, summary_variables
from cnnlab.graph.own_trials import try_own_functions
from cnnlab.graph.parts import Parts
from cnnlab.graph.step import StepContext, StepsMade, build_training_logits, choose_kernels
from cnnlab.graph.steps import make_steps_one_by_one
from cnnlab.graph.update.averages import Averages, network_variables, updated_by_passes
from cnnlab.graph.update.losses import training_losses
from cnnlab.graph.update.plateau import Plateau
from cnnlab.graph.update.precision import LossScale
from cnnlab.graph.update.rate import LearningRate
from cnnlab.graph.update.reduction import ALONE, Share, gather_rows


class TrainGraph(NamedTuple):
    """A training graph; see `build_train_graph`.

    Attributes:
        inference: the inference graph, whose placeholders also feed `train_op`.
        steps_ph: int32 scalar, the number of steps that one run of `train_op` makes; default: 1.
        train_op: makes the steps.
        global_step: int64 scalar variable, steps made so far.
        train_loss: float32 scalar, mean loss of the last step's batch, without penalties; fetching
            it trains.
        train_accuracy: float32 scalar in [0, 1], of the same batch. Where labels are mixed, the
            larger share counts as the truth. With several labels an image, the fraction of right
            labels; with several heads, the mean over them; with real values, NaN. Fetching it
            trains.
        learning_rate: float32 scalar that the last step used; fetching it trains.
        objective: float32 scalar that the last step minimized: loss and penalties; fetching it
            trains.
        last_rate: float32 scalar, learning rate of the step before; fetching it does not train.
        weights_are_finite: bool scalar, whether no trainable variable has a NaN or an infinity.
        rollbacks: int64 scalar variable, rollbacks so far; None unless configured.
        model_summaries: bytes scalar, the model's own `tf.summary` in the last step; None: it has
            no summaries.
        step_rows: returns the rows of the batch of any step; None unless configured.
        layer_summaries: split to bytes scalar, the layers' statistics for the fed images: train: of
            a forward pass of training, with dropout on; val: in inference. None unless configured.
        fill_data: function (session, train split) that makes the training set resident.
        plateau: the state of the schedule plateau; None with another schedule.
        waited: float64 scalar, seconds in which steps have waited for images that are read while it
            trains; None: the images are resident. Fetching it trains.
        waited_for_workers: the same, for the gradients of other workers; None: there are none.
            Fetching it does not train.
        variables: the network's own variables.
        init_op: initializes every variable.
        parts: the functions that the graph was built from.
    """

    inference: InferenceGraph
    steps_ph: Any
    train_op: Any
    global_step: Any
    train_loss: Any
    train_accuracy: Any
    learning_rate: Any
    objective: Any
    last_rate: Any
    weights_are_finite: Any
    rollbacks: Any
    model_summaries: Any
    step_rows: StepRows | None
    layer_summaries: dict[str, Any] | None
    fill_data: Callable[[Any, Split], None]
    plateau: Plateau | None
    waited: Any
    waited_for_workers: Any
    variables: list[Any]
    init_op: Any
    parts: Parts


def build_train_graph(
    config: Config,
    spec: DatasetSpec,
    parts: Parts,
    num_train: int,
    first_step: int,
    *,
    has_example_weights: bool = False,
    class_counts: Sequence[int] | None = None,
    share: Share = ALONE,
    read: Collection[str] = (),
) -> TrainGraph:
    """Add the inference graph, the input stream and the loop of steps to the default graph.

    Args:
        config: the run's options.
        spec: gives image shape and classes.
        parts: the model, and the user's other functions.
        num_train: number of training images.
        first_step: the step that the input stream starts at: the global step where the run starts
            or resumes.
        has_example_weights: whether the training data has a weight for each image.
        class_counts: training images of each class, where the sampling needs them.
        share: which of the workers of the run gets this graph.
        read: the columns of the training set that are read row by row; see `build_resident_data`.

    Raises:
        UsageError: the option trainable leaves no variable to train, or the next batch is wanted
            of images that are not in memory.
    """
    parts = parts._replace(heads=heads_of(config, spec))
    try_own_functions(parts, config, spec)
    global_step = tf.train.get_or_create_global_step()
    inference = build_inference_graph(config, spec, parts)
    variables = network_variables()
    if config.trainable is not None and not tf.trainable_variables():
        raise UsageError(
            f"--trainable={config.trainable} matches no variable of the model that can be trained; "
            f"it has {', '.join(variable.op.name for variable in variables[:8])}, ..."
        )
    epoch = num_train if class_counts is None else epoch_size(config.sampling, class_counts)
    total_steps = config.schedule_length(epoch)
    averages = Averages(config, variables, total_steps)
    with tf.name_scope("training") as training_scope:
        steps_ph = tf.placeholder_with_default(tf.constant(1, tf.int32), [], "steps_ph")
        start = tf.identity(global_step.read_value(), "start")
        rate = LearningRate(config, total_steps, parts.schedule)
    context = StepContext(
        config,
        spec.num_classes,
        parts,
        rate,
        averages,
        global_step,
        LossScale() if config.precision == "float16" else None,
        choose_kernels(config, inference.logits),
        state=updated_by_passes(variables),
        share=share,
        own=_own_rows(config, share),
    )
    with tf.name_scope("data"):
        source = BatchSource(
            config,
            spec,
            num_train,
            inference.statistics,
            has_example_weights=has_example_weights,
            class_counts=class_counts,
            own_augmentations=parts.augmentations,
            read=read,
            own=context.own,
        )
    if num_compiled := steps_to_compile(context, spec.image_shape):
        make_steps = make_compiled_steps(context, source, first_step, num_compiled)
    else:
        make_steps = make_steps_one_by_one(context, source, first_step)
    with tf.name_scope(training_scope):
        steps = make_steps(inference, start, steps_ph)
        if share.workers > 1:
            steps.last["logits"] = gather_rows(steps.last["logits"], share)
    train_loss, train_accuracy = _build_metrics(config, steps, spec.targets, parts)
    with tf.name_scope("metrics/"):  # the same scope, entered again
        last_step = start + tf.cast(steps.made, tf.int64) - 1
        learning_rate = tf.identity(rate.at(last_step), "learning_rate")
        last_rate = rate.at(start - 1)
    return TrainGraph(
        inference=inference,
        steps_ph=steps_ph,
        train_op=steps.made.op,
        global_step=global_step,
        train_loss=train_loss,
        train_accuracy=train_accuracy,
        learning_rate=learning_rate,
        objective=steps.objective,
        last_rate=last_rate,
        weights_are_finite=_build_finite_check(),
        rollbacks=rate.rollbacks,
        model_summaries=next((v.read_value() for v in summary_variables()), None),
        step_rows=_build_step_rows(config, source),
        layer_summaries=_build_summaries(context, inference),
        fill_data=source.fill,
        plateau=rate.plateau,
        waited=steps.waited,
        waited_for_workers=steps.waited_for_workers,
        variables=variables,
        init_op=_build_init_op(steps),
        parts=parts,
    )


def _own_rows(config: Config, share: Share) -> OwnRows | None:
    """Return the images that this worker prepares; None: all of each batch."""
    if share.workers == 1 or not can_be_prepared_alone(config):
        return None
    parts = config.micro_batches // share.workers
    return OwnRows(share.worker * parts, parts, config.micro_batches)


def _build_init_op(steps: StepsMade) -> Any:
    """Add the op that initializes every global variable, and the loop's own variables."""
    init_op = tf.global_variables_initializer()
    if not steps.init_ops:
        return init_op
    with tf.name_scope("training/"):
        return tf.group(init_op, *steps.init_ops, name="init")


def _build_metrics(
    config: Config, steps: StepsMade, targets: Targets, parts: Parts
) -> tuple[Any, Any]:
    """Add loss and accuracy of the last step's batch, float32 scalars."""
    last = steps.last
    with tf.name_scope("metrics"):
        if targets == "values":
            accuracy = tf.constant(float("nan"), name="accuracy")
        else:
            correct = _is_correct(last, targets, parts.heads)
            accuracy = tf.reduce_mean(tf.cast(correct, tf.float32), name="accuracy")
        losses = training_losses(config, last["logits"], last, parts.loss, parts.heads)
        loss = tf.reduce_mean(losses, name="loss")
    return loss, accuracy


def _is_correct(last: Batch, targets: Targets, heads: Heads) -> Any:
    """Return whether each prediction is right: of each image, or of its labels, or of its heads."""
    if targets in ("labels", "heads"):
        truth = last["targets"] if "targets" in last else last["labels"]
        if targets == "heads":
            return are_correct(heads, truth, last["logits"])
        return tf.equal(last["logits"] >= 0, truth >= 0.5)
    truth = tf.argmax(last["targets"], axis=1) if "targets" in last else last["labels"]
    return tf.equal(tf.argmax(last["logits"], axis=1), truth)


def _build_finite_check() -> Any:
    """Add a bool scalar: whether no trainable variable has a NaN or an infinity."""
    with tf.name_scope("finite_weights"):
        return tf.reduce_all(
            [tf.reduce_all(tf.is_finite(variable)) for variable in tf.trainable_variables()]
        )


def _build_step_rows(config: Config, source: BatchSource) -> StepRows | None:
    is_resident = source.data.reader is None
    if config.inference_summaries and not is_resident:
        raise UsageError(
            "--inference_summaries needs training images in memory; leave it out, or for pictures "
            "use --cache=memory"
        )
    if not is_resident or not (config.inference_summaries or config.layer_summaries):
        return None
    with tf.name_scope("next_rows"):
        return StepRows(source.data, config.batch_size, config.seed, source.sampler)


def _build_summaries(context: StepContext, inference: InferenceGraph) -> dict[str, Any] | None:
    if not context.config.layer_summaries:
        return None
    # Apart from the steps: no other workers take part, and XLA compiles nothing of it.
    kernels = dataclasses.replace(context.kernels, compiler=None)
    apart = context._replace(share=ALONE, kernels=kernels)
    with tf.name_scope("layer_summaries"):
        with collections_kept():
            step, labels = context.global_step.read_value(), inference.labels_ph
            _, tower = build_training_logits(apart, inference.inputs, step, labels)
        return {
            "train": build_layer_summaries(tower.activations),
            "val": build_layer_summaries(inference.activations),
        }
