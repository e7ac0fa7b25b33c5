"""What each placeholder of a network stands for: images, a flag, or a number that is fed."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Sequence
from typing import Any, Final

from cnnlab.port.constant_values import KnownArray
from cnnlab.port.full_names import FullNames, argument, dotted
from cnnlab.port.input_functions import IMAGES_OF_INPUT, LABELS
from cnnlab.port.losses_found import Loss, NotFoundError
from cnnlab.port.pipelines_found import after_maps
from cnnlab.port.rewriting import FLAG, TRAINING
from cnnlab.port.story import Story
from cnnlab.port.training_found import TrainingRun, all_feeds

IMAGES: Final = "images"  # the argument of the model function
_OF_VECTORS: Final = ("tf.matmul", "tf.layers.dense", "tf.contrib.layers.fully_connected")
_PLACEHOLDERS: Final = ("tf.placeholder", "tf.placeholder_with_default")


class Inputs:
    """Finds what each placeholder of the network stands for."""

    def __init__(self, story: Story, chosen: Sequence[int], run: TrainingRun | None) -> None:
        self._story, self._run = story, run
        self._calls: dict[str, tuple[int, ast.Call]] = {}
        for i in chosen:
            for target, call in placeholders_in(story.items[i].node, story.names):
                if LABELS not in ast.unparse(call):
                    self._calls[target] = (i, call)
        self._of_pipeline = _array_of_pipeline(story)
        self.fed = self._fed_images()

    def _fed_images(self) -> KnownArray | None:
        """Return the fed images of the training run, as far as they are known."""
        for target, (i, call) in self._calls.items():
            shape = self._story.value(argument(call, 1, "shape"), i)
            if IMAGES_OF_INPUT in ast.unparse(call):
                return self._of_pipeline
            if isinstance(shape, list | tuple) and len(shape) > 1 and self._run is not None:
                fed = self._run.feeds.get(target)
                value = self._story.value(fed, self._run.index) if fed is not None else None
                if isinstance(value, KnownArray):
                    return value
        return None

    def find_dataset(self, source: str, notes: list[tuple[int, str]]) -> str:
        """Return the data set: that of the fed arrays, or the one that the text names."""
        if self.fed is not None:
            if self.fed is self._of_pipeline:
                self.fed = after_maps(self._story, self.fed, notes)
            return self.fed.dataset
        arrays = [v for v in self._story.known[-1].values() if hasattr(v, "train")]
        if arrays:
            return str(arrays[0].train.images.dataset)
        found = dataset_by_words(source)
        if found is None:
            raise NotFoundError(
                "a data set that cnnlab has: mnist, fashion_mnist, cifar10, cifar100"
            )
        text = f"the program's words name {found}; its own reading of files is not ported"
        notes.append((0, f"{text}: pixels count as 0 to 1"))
        return found

    def check_labels(self, loss: Loss) -> None:
        """Raise NotFoundError if the labels are the images, as in an autoencoder."""
        node, index = loss.labels
        needed = set(self._story.slice_of([node], index))
        for target, (i, call) in self._calls.items():
            own = self._story.value(argument(call, 1, "shape"), i)
            if i in needed and isinstance(own, list | tuple) and len(own) > 1:
                raise NotFoundError(
                    f"labels: the loss compares with {target} (line {call.lineno}), which the "
                    "network reads too; cnnlab trains classifiers"
                )

    def find(self, dataset: str, shape: tuple[int, ...]) -> dict[str, ast.expr]:
        """Return what each placeholder becomes, by its name."""
        found: dict[str, ast.expr] = {}
        has_images = False
        for target, (i, call) in self._calls.items():
            dtype = ast.unparse(argument(call, 0, "dtype") or ast.Constant(""))
            given = argument(call, 1, "shape")
            own = self._story.value(given, i)
            if IMAGES_OF_INPUT in ast.unparse(call):
                flat = (math.prod(shape),) if self._is_flat(target) else shape
                own = (None, *flat) if self.fed is None else self.fed.shape
                found[target] = self._images(target, own, call.lineno, shape, dataset)
                has_images = True
            elif "bool" in dtype or FLAG.match(target.rpartition(".")[2]) or self._is_flag(call):
                found[target] = ast.Name(TRAINING, ast.Load())
            elif isinstance(own, list | tuple) and len(own) > 1:
                if has_images:
                    raise NotFoundError(f"one placeholder of images; {target} is another")
                found[target] = self._images(target, own, call.lineno, shape, dataset)
                has_images = True
            elif given is not None and own is None:
                raise NotFoundError(f"the shape of the placeholder {target}, line {call.lineno}")
            elif self._fed_array(target) is not None and not has_images:
                found[target] = self._images(target, (None, *shape), call.lineno, shape, dataset)
                has_images = True
            else:
                found[target] = self._scalar(target, call)
        if not has_images:
            raise NotFoundError("a placeholder of images that the network reads")
        return found

    def _is_flat(self, target: str) -> bool:
        """Return whether the first layer that reads images of unknown shape takes vectors."""
        for item in self._story.items:
            for call in () if item.is_function else ast.walk(item.node):
                if isinstance(call, ast.Call) and call.args and dotted(call.args[0]) == target:
                    return self._story.names.of_call(call) in _OF_VECTORS
        return False

    def _is_flag(self, call: ast.Call) -> bool:
        default = argument(call, 0, "input")
        return isinstance(default, ast.Constant) and isinstance(default.value, bool)

    def _fed_array(self, target: str) -> KnownArray | None:
        fed = self._run.feeds.get(target) if self._run is not None else None
        value = self._story.value(fed, self._run.index) if fed is not None and self._run else None
        return value if isinstance(value, KnownArray) else None

    def _images(
        self, target: str, own: Sequence[Any], line: int, shape: tuple[int, ...], dataset: str
    ) -> ast.expr:
        """Return the images in the shape and range of the placeholder."""
        sizes = list(own[1:])
        if sizes == [None] * len(sizes) and len(sizes) == 3:
            sizes = list(shape)
        if None in sizes or math.prod(sizes) != math.prod(shape):
            text = " x ".join(map(str, own))
            pixels = "x".join(map(str, shape))
            raise NotFoundError(
                f"images of {dataset} as they are ({pixels}); the placeholder {target} at line "
                f"{line} is {text}"
            )
        low, high = 0.0, 1.0
        fed = self._fed_array(target) or self.fed
        if fed is not None and fed.low is not None and fed.high is not None:
            low, high = fed.low, fed.high
        node: ast.expr = ast.Name(IMAGES, ast.Load())
        if (low, high) != (0.0, 1.0):
            scale, shift = ast.Constant(round(high - low, 6)), round(low, 6)
            if scale.value != 1:
                node = ast.BinOp(scale, ast.Mult(), node)
            if shift:
                sign = ast.Add() if shift > 0 else ast.Sub()
                node = ast.BinOp(node, sign, ast.Constant(abs(shift)))
        if tuple(sizes) != shape:
            elements = ast.List([ast.Constant(n) for n in (-1, *sizes)], ast.Load())
            node = ast.Call(ast.parse("tf.reshape", mode="eval").body, [node, elements], [])
        return node

    def _scalar(self, target: str, call: ast.Call) -> ast.expr:
        """Return the fed number: of training, and another one in evaluation if there is one."""
        story = self._story
        default = argument(call, 0, "input")
        of_training = self._run.feeds.get(target) if self._run is not None else None
        value = story.value(of_training, self._run.index) if of_training and self._run else None
        if value is None and of_training is not None:
            value = _branch(of_training)
        if value is None and default is not None and "default" in story.names.of_call(call):
            value = story.value(default, 0)
        if not isinstance(value, int | float):
            raise NotFoundError(f"the number that is fed for {target} (line {call.lineno})")
        others = {
            other
            for i, feeds in all_feeds(story)
            if target in feeds and isinstance(other := story.value(feeds[target], i), int | float)
        } - {value}
        if 1 in others:
            test = ast.Name(TRAINING, ast.Load())
            return ast.IfExp(test, ast.Constant(value), ast.Constant(1.0))
        return ast.Constant(value)


def _array_of_pipeline(story: Story) -> KnownArray | None:
    """Return the images of an input function or a `tf.data.Dataset`; None: unknown."""
    for i, item in enumerate(story.items):
        for call in ast.walk(item.node):
            full = story.names.of_call(call)
            value = None
            if full.endswith("numpy_input_fn"):
                value = argument(call, 0, "x") if isinstance(call, ast.Call) else None
                value = value.values[0] if isinstance(value, ast.Dict) else value
            elif full.endswith("Dataset.from_tensor_slices") and isinstance(call, ast.Call):
                value = argument(call, 0, "tensors")
                value = value.elts[0] if isinstance(value, ast.Tuple) else value
            found = story.value(value, i)
            if isinstance(found, tuple) and found:
                found = found[0]
            if isinstance(found, KnownArray):
                return found
    return None


def _branch(node: ast.expr) -> float | None:
    """Return the number that is fed in training: of `0.5 if train else 1.0`."""
    if isinstance(node, ast.IfExp) and isinstance(node.body, ast.Constant):
        value = node.body.value
        return float(value) if isinstance(value, int | float) else None
    return None


def placeholders_in(node: ast.AST, names: FullNames) -> list[tuple[str, ast.Call]]:
    """Return the placeholders that a statement makes, each with the name that it gets."""
    found = []
    for statement in ast.walk(node):
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                pairs = [(target, statement.value)]
                value = statement.value
                if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                    pairs = list(zip(target.elts, value.elts, strict=False))
                for name, part in pairs:
                    for call in ast.walk(part):
                        if names.of_call(call) in _PLACEHOLDERS and isinstance(call, ast.Call):
                            found.append((dotted(name) or "", call))
    return found


_WORDS: Final = (
    ("cifar100", re.compile(r"cifar[-_ ]?100", re.IGNORECASE)),
    ("cifar10", re.compile(r"cifar", re.IGNORECASE)),
    ("fashion_mnist", re.compile(r"fashion", re.IGNORECASE)),
    ("mnist", re.compile(r"mnist|1x28x28|idx3", re.IGNORECASE)),
)


def dataset_by_words(source: str) -> str | None:
    """Return the data set that a program's text names; None: none."""
    return next((name for name, pattern in _WORDS if pattern.search(source)), None)
