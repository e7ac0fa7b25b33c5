"""Recognise a program of a common shape: inputs, network, loss, optimizer, session loop."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any, Final

from cnnlab.port.constant_values import KnownArray
from cnnlab.port.full_names import argument, dotted
from cnnlab.port.inputs_found import Inputs
from cnnlab.port.losses_found import Loss, NotFoundError, find_loss
from cnnlab.port.minimizing_found import Minimizing, find_minimizing
from cnnlab.port.story import Story
from cnnlab.port.training_found import (
    TrainingRun,
    count_steps,
    find_batch_size,
    find_training_run,
    repetitions,
)

_PLACEHOLDERS: Final = ("tf.placeholder", "tf.placeholder_with_default")
_IMAGE_SHAPES: Final = {
    "mnist": (28, 28, 1),
    "fashion_mnist": (28, 28, 1),
    "cifar10": (32, 32, 3),
    "cifar100": (32, 32, 3),
}
_TRAINING_IMAGES: Final = {
    "mnist": 60000,
    "fashion_mnist": 60000,
    "cifar10": 50000,
    "cifar100": 50000,
}


@dataclass
class Recognised:
    """What a script needs.

    Attributes:
        story: the program.
        minimizing: the statement that minimizes the loss.
        loss: what it minimizes.
        chosen: the items that compute the logits, in order.
        dataset: the data set.
        inputs: what each placeholder becomes, by the text of its name.
        options: further options of `Train`, name to value.
        rate: the learning rate, if it is no number: an expression, and its item.
        counter: the name in `rate` that counts the steps, or the rounds of a loop.
        rounds: the values of the counter, if it counts the rounds of a loop.
        steps_per_round: the steps in a round.
        notes: (line, text) of what was assumed.
    """

    story: Story
    minimizing: Minimizing
    loss: Loss
    chosen: list[int]
    dataset: str
    inputs: dict[str, ast.expr]
    options: dict[str, Any] = field(default_factory=dict)
    rate: tuple[ast.expr, int] | None = None
    counter: str = ""
    rounds: range | None = None
    steps_per_round: int = 1
    notes: list[tuple[int, str]] = field(default_factory=list)

    @property
    def function_name(self) -> str:
        """The name of the script's model function, which is no name of the program's."""
        taken = set().union(*(self.story.bound[i] for i in self.chosen))
        return next(name for name in ("model", "network", "cnnlab_model") if name not in taken)

    @property
    def classes(self) -> int:
        """The number of classes."""
        return 100 if self.dataset == "cifar100" else 10


def recognise(story: Story, source: str) -> Recognised:
    """Return what a script needs.

    Args:
        story: the program.
        source: its text.

    Raises:
        NotFoundError: something is missing, or not in a form that is known.
    """
    minimizing = find_minimizing(story)
    loss = find_loss(story, minimizing.loss, minimizing.index)
    logits, index = loss.logits
    targets = [logits, *(node for node, _ in loss.penalties)]
    last = max([index, *(place for _, place in loss.penalties)])
    chosen = story.slice_of(targets, last)
    run = find_training_run(story, minimizing)
    finder = Inputs(story, chosen, run)
    found = Recognised(story, minimizing, loss, chosen, "", {})
    found.dataset = finder.find_dataset(source, found.notes)
    finder.check_labels(loss)
    found.inputs = finder.find(found.dataset, _IMAGE_SHAPES[found.dataset])
    _find_length(found, run, finder.fed)
    _find_rate(found, run)
    seeds = [
        story.value(call.args[0], i)
        for i, item in enumerate(story.items)
        for call in ast.walk(item.node)
        if story.names.of_call(call) in ("tf.set_random_seed", "tf.random.set_random_seed")
        and isinstance(call, ast.Call)
        and call.args
    ]
    if seeds and isinstance(seeds[0], int) and seeds[0] >= 0:
        found.options["seed"] = seeds[0]
    return found


def _find_length(found: Recognised, run: TrainingRun | None, fed: KnownArray | None) -> None:
    """Find batch size and number of steps."""
    story = found.story
    size = find_batch_size(story, run, fed)
    if size is None:
        raise NotFoundError("the batch size")
    found.options["batch_size"] = size
    held = _held_out(found)
    if held:
        found.options["validation_split"] = held
    stated = _stated_steps(story)
    if stated is not None:
        found.options["steps"] = stated
        return
    if run is None:
        raise NotFoundError("a session run of the training operation")
    steps, epochs, assumed = count_steps(story, run.index, None)
    if assumed:
        found.notes.append((story.items[run.index].node.lineno, assumed))
    if steps is not None:
        found.options["steps"] = steps
    elif epochs is not None:
        found.options["epochs"] = int(epochs) if epochs == int(epochs) else epochs
    else:
        raise NotFoundError("the number of steps: the loops that train have unknown lengths")


def _held_out(found: Recognised) -> float:
    """Return the fraction of the training images that `input_data` holds out for validation."""
    if found.dataset not in ("mnist", "fashion_mnist"):
        return 0.0
    for known in found.story.known[-1].values():
        count = getattr(getattr(known, "train", None), "num_examples", None)
        if isinstance(count, int) and 0 < count < 60000:
            return (60000 - count) / 60000
    return 0.0


def _stated_steps(story: Story) -> int | None:
    """Return the steps of `estimator.train(steps=...)` or of a StopAtStepHook; None: neither."""
    for i, item in enumerate(story.items):
        for call in ast.walk(item.node):
            if not isinstance(call, ast.Call):
                continue
            if story.names.of_call(call) == "tf.train.StopAtStepHook":
                value = story.value(argument(call, 0, "num_steps", "last_step"), i)
                if isinstance(value, int) and value > 0:
                    return value
            if isinstance(call.func, ast.Attribute):
                steps = argument(call, None, "steps", "max_steps")
                if call.func.attr == "train" and steps is not None:
                    value = story.value(steps, i)
                    repeats, _, _ = count_steps(story, i, None) if item.loops else (1, None, "")
                    if isinstance(value, int) and repeats:
                        return value * repeats
    return None


def _find_rate(found: Recognised, run: TrainingRun | None) -> None:
    """Find the learning rate: a number, or an expression of the step."""
    story, call, index = found.story, found.minimizing.optimizer, found.minimizing.optimizer_index
    rate = argument(call, 0, "learning_rate")
    if rate is None:
        found.options["learning_rate"] = 0.001  # of AdamOptimizer, the only one with a default
        return
    value = story.value(rate, index)
    if isinstance(value, int | float):
        found.options["learning_rate"] = float(value)
        return
    node, place = story.resolved(rate, index)
    if story.names.of_call(node) in _PLACEHOLDERS:
        fed = run.feeds.get(ast.unparse(rate)) if run else None
        if fed is None or run is None:
            raise NotFoundError("the learning rate that is fed")
        value = story.value(fed, run.index)
        if isinstance(value, int | float):
            found.options["learning_rate"] = float(value)
            return
        node, place = story.resolved(fed, run.index)
        _count_rounds(found, run, node)
    else:
        steps = {n for n in story.reads(node) if _is_step(story, n, place)}
        if not steps and "global_step" not in ast.unparse(node):
            raise NotFoundError("a learning rate that is a number or a function of the step")
        if not found.minimizing.counts:
            text = "minimize() gets no global_step, so the schedule stays at its first rate"
            found.notes.append((call.lineno, text))
            first = argument(node, 0, "learning_rate") if isinstance(node, ast.Call) else None
            value = story.value(first, place)
            if not isinstance(value, int | float):
                raise NotFoundError("the first learning rate of the schedule")
            found.options["learning_rate"] = float(value)
            return
        found.counter = next(iter(steps), "")
    found.rate = (node, place)


def _count_rounds(found: Recognised, run: TrainingRun, rate: ast.expr) -> None:
    """Find the loop whose rounds the learning rate depends on."""
    story = found.story
    loops = story.items[run.index].loops
    for number, loop in enumerate(loops):
        if isinstance(loop, ast.For) and isinstance(loop.target, ast.Name):
            values = repetitions(story, loop, run.index)
            counter = _name_of_counter(story, rate, loop.target.id, run.index)
            if counter is not None and isinstance(values, range):
                found.counter, found.rounds = counter, values
                for inner in loops[number + 1 :]:
                    inside = repetitions(story, inner, run.index)
                    if inside is None:  # taken for a pass over the data
                        images = _TRAINING_IMAGES[found.dataset]
                        images -= round(images * found.options.get("validation_split", 0))
                        inside = range(images // found.options["batch_size"])
                    found.steps_per_round *= len(inside)
                return
    raise NotFoundError("a learning rate that is a number or a function of the step")


def _name_of_counter(story: Story, rate: ast.expr, name: str, index: int) -> str | None:
    """Return the name by which an expression reads a loop's variable; None: it does not."""
    for read in sorted(story.reads(rate)):
        behind, _ = story.resolved(ast.Name(read, ast.Load()), index)
        if dotted(behind) == name:
            return read
    return None


def _is_step(story: Story, name: str, index: int) -> bool:
    """Return whether a name is the variable that counts steps."""
    found = story.definition(name, index)
    if found is None:
        return "global_step" in name
    node = found[1]
    full = story.names.of_call(node)
    if full.endswith(("get_or_create_global_step", "get_global_step", "create_global_step")):
        return True
    trainable = argument(node, None, "trainable") if isinstance(node, ast.Call) else None
    return (
        full in ("tf.Variable", "tf.get_variable")
        and isinstance(trainable, ast.Constant)
        and trainable.value is False
    ) or (full == "tf.Variable" and "step" in name)
