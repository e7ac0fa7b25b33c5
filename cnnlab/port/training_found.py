"""How a program trains: its session run, batch size, number of steps, data set."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from cnnlab.port.constant_values import KnownArray, UnknownError
from cnnlab.port.full_names import argument, calls_of_methods
from cnnlab.port.minimizing_found import Minimizing
from cnnlab.port.story import Story

MAX_STEPS: Final = 10**9
_BATCH_NAME: Final = re.compile(
    r"(?i)^(flags\.|args\.)?(self\.)?(train_)?(mini)?_?(batch_?size|bs)$"
)


@dataclass(frozen=True)
class TrainingRun:
    """The session run that trains: the item, and what is fed."""

    index: int
    feeds: dict[str, ast.expr]


def find_training_run(story: Story, minimizing: Minimizing) -> TrainingRun | None:
    """Return the session run that trains; None: there is none."""
    targets = set(story.bound[minimizing.index])
    for i in range(minimizing.index + 1, len(story.items)):
        item = story.items[i]
        if not item.is_function and story.reads(item.node) & targets and not _runs(item.node):
            targets |= story.bound[i]  # a group, or control dependencies
    for i in range(minimizing.index, len(story.items)):
        for call in [] if story.items[i].is_function else ast.walk(story.items[i].node):
            fed = _fed_by(story, call, targets, i)
            if fed is not None:
                return TrainingRun(i, fed)
    return None


def all_feeds(story: Story) -> list[tuple[int, dict[str, ast.expr]]]:
    """Return what each session run feeds, with its item."""
    return [
        (i, fed)
        for i, item in enumerate(story.items)
        for call in ast.walk(item.node)
        if (fed := _fed_by(story, call, None, i)) is not None
    ]


def _runs(node: ast.AST) -> bool:
    return any(True for _ in calls_of_methods(node, "run"))


def _fed_by(
    story: Story, call: ast.AST, targets: set[str] | None, index: int
) -> dict[str, ast.expr] | None:
    """Return what a session run feeds, by placeholder; None: it is no run of the targets."""
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    if call.func.attr not in ("run", "eval"):
        return None
    fetches = argument(call, 0, "fetches")
    is_method = targets is not None and ast.unparse(call.func.value) in targets
    if not is_method and targets is not None:
        if fetches is None:
            return None
        behind, _ = story.resolved(fetches, index)
        if not (story.reads(behind) | story.reads(fetches)) & targets:
            return None
    fed = argument(call, 0 if is_method else 1, "feed_dict")
    if fed is None and targets is None and call.func.attr == "eval":
        fed = argument(call, 0)
    if fed is None:
        return {}
    fed, _ = story.resolved(fed, index)
    if isinstance(fed, ast.Call):
        fed = _returned(story, fed) or fed
    if not isinstance(fed, ast.Dict):
        return {}
    pairs = zip(fed.keys, fed.values, strict=True)
    return {ast.unparse(key): value for key, value in pairs if key is not None}


def _returned(story: Story, call: ast.Call) -> ast.expr | None:
    """Return the dict that a function of feeds returns."""
    name = ast.unparse(call.func)
    for item in story.items:
        if isinstance(item.node, ast.FunctionDef) and item.node.name == name:
            for node in ast.walk(item.node):
                if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict):
                    return node.value
    return None


def find_batch_size(story: Story, run: TrainingRun | None, fed: KnownArray | None) -> int | None:
    """Return the images of one step; None: unknown.

    Args:
        story: the program.
        run: the session run that trains.
        fed: the images that it feeds, as far as they are known.
    """
    if run is not None:
        loops = story.items[run.index].loops
        for item in story.items[: run.index + 1]:
            if set(map(id, item.loops)) & set(map(id, loops)):
                size = _next_batch(story, item.node, run.index)
                if size:
                    return size
        for loop in reversed(loops):
            if isinstance(loop, ast.For) and (size := _stride(story, loop, run.index)):
                return size
    for i, item in enumerate(story.items):
        if (size := _of_pipeline(story, item.node, i)) is not None:
            return size
    known = story.known[-1] if run is None else story.known[run.index]
    named = {v for n, v in known.items() if _BATCH_NAME.match(n) and isinstance(v, int)}
    if len(named) == 1:
        return named.pop()
    return fed.shape[0] if fed is not None else None


def _next_batch(story: Story, node: ast.AST, index: int) -> int | None:
    for call in calls_of_methods(node, "next_batch", "next_train_batch", "get_batch"):
        sizes = [story.value(value, index) for value in call.args]
        sizes += [story.value(k.value, index) for k in call.keywords if k.arg]
        sizes = [size for size in sizes if isinstance(size, int) and size > 0]
        return sizes[0] if sizes else None
    return None


def _stride(story: Story, loop: ast.For, index: int) -> int | None:
    """Return the distance of the starts of batches, from a loop over them."""
    values = story.value(loop.iter, index)
    try:
        pairs = [v if isinstance(v, tuple) else (v,) for v in list(values)[:2]]
        step = pairs[1][0] - pairs[0][0]
    except (TypeError, IndexError):
        return None
    return step if isinstance(step, int) and step > 1 else None


def _of_pipeline(story: Story, node: ast.AST, index: int) -> int | None:
    """Return the batch size of `.batch(n)`, `tf.train.batch` or an input function."""
    for call in ast.walk(node):
        if not isinstance(call, ast.Call):
            continue
        full = story.names.of_call(call)
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        size = None
        if method == "batch" and not full.startswith("tf.train"):
            size = argument(call, 0, "batch_size")
        elif full in ("tf.train.batch", "tf.train.shuffle_batch"):
            size = argument(call, 1, "batch_size")
        elif full.endswith("numpy_input_fn"):
            size = argument(call, 2, "batch_size") or ast.Constant(128)
        value = story.value(size, index) if size is not None else None
        if isinstance(value, int):
            return value
    return None


def count_steps(
    story: Story, index: int, per_pass: int | None
) -> tuple[int | None, float | None, str]:
    """Return how long the program trains.

    Args:
        story: the program.
        index: the item that trains.
        per_pass: the steps of one pass over the training set; None: unknown.

    Returns:
        steps or epochs, of which one is None, and what was assumed, "" if nothing.
    """
    total, unknown, assumed = 1, 0, ""
    for loop in story.items[index].loops:
        rounds = repetitions(story, loop, index)
        if rounds is None:
            unknown += 1
        else:
            total *= len(rounds)
    if unknown > 1 or not 0 < total <= MAX_STEPS:
        return None, None, assumed
    if unknown:
        line = next(
            loop.lineno
            for loop in story.items[index].loops
            if repetitions(story, loop, index) is None
        )
        return None, float(total), f"the loop at line {line} is taken for one pass over the data"
    if not story.items[index].loops:
        return None, None, assumed
    return total, None, assumed


def repetitions(story: Story, loop: ast.For | ast.While, index: int) -> Sequence[Any] | None:
    """Return the values that a loop runs through; None: unknown.

    Args:
        story: the program.
        loop: one of the loops around an item.
        index: the item.
    """
    start = next(i for i, item in enumerate(story.items) if loop in item.loops)
    if isinstance(loop, ast.For):
        iterable = loop.iter
        if story.names.of_call(iterable) in ("enumerate", "tqdm.tqdm", "tqdm.trange"):
            assert isinstance(iterable, ast.Call)
            iterable = iterable.args[0]
        values = story.value(iterable, start)
        return values if isinstance(values, range | list | tuple) else None
    count = _of_while(story, loop, start)
    return None if count is None else range(count)


def _of_while(story: Story, loop: ast.While, start: int) -> int | None:
    """Return how often `while i * batch_size < n` runs, with `i += 1` in it."""
    known: dict[str, Any] = dict(story.known[start])
    changes = {
        item.node.target.id: item.node.value
        for item in story.items[start:]
        if loop in item.loops
        and isinstance(item.node, ast.AugAssign)
        and isinstance(item.node.target, ast.Name)
        and isinstance(item.node.op, ast.Add)
    }
    try:
        steps = {name: story.evaluator.value(value, known) for name, value in changes.items()}
        if not steps or isinstance(loop.test, ast.Constant):
            return None
        count = 0
        while story.evaluator.value(loop.test, known):
            count += 1
            known.update({name: known[name] + step for name, step in steps.items()})
            if count > 5_000_000 or math.isinf(count):
                return None
    except (UnknownError, KeyError, TypeError):
        return None
    return count
