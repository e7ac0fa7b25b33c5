"""The batch of a step: rows of the training set, augmented and scaled.

A batch is a dict with only the parts that the run needs:
    inputs: float32 [batch, height, width, channels], the network's input.
    labels: int64 [batch], range [0, num_classes); or float32 [batch, k], labels or values.
    targets: float32 [batch, num_classes], the mixed labels; where an augmentation mixes labels.
    weights: float32 [batch], factor of each example's loss; where there are class weights or
        example weights.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import UsageError
from cnnlab.base.randomness import Origin, StepKeys
from cnnlab.base.tf1 import tf
from cnnlab.config.augmentations import mixes_labels
from cnnlab.config.config import Config
from cnnlab.data.augment import Mixed, OwnAugmentations, augment_and_mix
from cnnlab.data.augment.recipe import scaling_of, shape_after
from cnnlab.data.datasets import Split
from cnnlab.data.grey_levels import grey_levels
from cnnlab.data.own_rows import OwnRows
from cnnlab.data.resident import Rows, build_resident_data, label_shape
from cnnlab.data.sampling import Sampler
from cnnlab.data.scaling import InputStatistics, scale
from cnnlab.data.specs import DatasetSpec

Batch = dict[str, Any]


class BatchSource:
    """The training set in the graph, and how a batch is made of its rows.

    Attributes:
        data: the training set, resident on the compute device.
        sampler: draws the epochs; None: each is a permutation of the training set.
        own: the images of a batch that are prepared; None: all.
        input_shape: (height, width, channels) of the network's input.
        has_weights: whether batches have weights.
    """

    def __init__(
        self,
        config: Config,
        spec: DatasetSpec,
        num_train: int,
        statistics: InputStatistics | None,
        *,
        has_example_weights: bool = False,
        class_counts: Sequence[int] | None = None,
        own_augmentations: OwnAugmentations | None = None,
        read: Collection[str] = (),
        own: OwnRows | None = None,
    ) -> None:
        """Add the resident data to the default graph.

        Args:
            config: gives batch size, seed, augmentation, scaling and class weights.
            spec: gives image shape and classes.
            num_train: number of training images.
            statistics: statistics of the training set that the scaling needs, if any.
            has_example_weights: whether the data has a weight for each training example.
            class_counts: training images of each class, where the sampling needs them.
            own_augmentations: the user's functions in `config.augment`, by their positions.
            read: the columns of the training set that are read row by row; see
                `build_resident_data`.
            own: the images of a batch that are prepared; None: all.
        """
        self.own = own
        self._own_augmentations = own_augmentations
        self._config, self._spec, self._num_train = config, spec, num_train
        self._scaling = scaling_of(config.augment, config.scaling)
        self._statistics = statistics
        self._mixes = mixes_labels(config.augment) is not None
        self.has_weights = has_example_weights or config.class_weights is not None
        self.input_shape = shape_after(config.augment, spec.image_shape)
        self.data = build_resident_data(
            spec,
            num_train,
            has_weights=has_example_weights,
            num_class_weights=spec.num_classes if config.class_weights is not None else None,
            read=read,
        )
        self.sampler = None
        if class_counts is not None:
            self.sampler = Sampler(config.sampling, class_counts)

    def fill(self, session: Any, train: Split) -> None:
        """Copy the training set into the resident variables; prepare to read what is not there."""
        class_weights = None
        if self._config.class_weights is not None:
            class_weights = class_weight_array(
                self._config.class_weights, train.labels, self._spec.class_names
            )
        self.data.fill(session, train.images, train.labels, train.weights, class_weights)
        if self.sampler is not None:
            self.sampler.fill(session, train.labels)
        if self.data.reader is not None:
            self.data.reader.read = train.images.start()

    def prepare(self, rows: Rows, step: Any) -> Batch:
        """Return the batch of a step, made of rows of the training set.

        Its inputs are those of the images that are there, its other parts those of all.

        Args:
            rows: images, labels, and weights if there are any; see `ResidentData.rows`.
            step: int64 scalar, the step whose random numbers are drawn.
        """
        with tf.name_scope("prepare"):
            labels, weights = rows["labels"], rows.get("weights")
            if self.data.class_weights is not None:
                factors = tf.gather(self.data.class_weights, labels)
                weights = factors if weights is None else weights * factors
            targets = None
            if self._mixes:
                is_class = labels.shape.rank == 1
                targets = tf.one_hot(labels, self._spec.num_classes) if is_class else labels
            images = grey_levels(rows["images"], self._spec.image_range)
            origin, first_row = self._origin(rows, step), None
            if self.own is not None:
                first_row, end = self.own.bounds(tf.shape(labels)[0])
                if origin is not None:
                    indices, epochs = (one[first_row:end] for one in origin[:2])
                    origin = Origin(indices, epochs, origin.num_train)
            keys = StepKeys(self._config.seed, step, origin, first_row)
            mixed = augment_and_mix(
                Mixed(images, targets, weights), self._config.augment, keys, self._own_augmentations
            )
            batch = {
                "inputs": scale(mixed.images, self._scaling, self._statistics),
                "labels": labels,
                "targets": mixed.targets,
                "weights": mixed.weights,
            }
        return {name: tensor for name, tensor in batch.items() if tensor is not None}

    def shapes(self) -> dict[str, Any]:
        """Return the static shape of each part of a batch."""
        shapes = {"inputs": [None, *self.input_shape], "labels": [None, *label_shape(self._spec)]}
        if self._mixes:
            shapes["targets"] = [None, self._spec.num_classes]
        if self.has_weights:
            shapes["weights"] = [None]
        return {name: tf.TensorShape(shape) for name, shape in shapes.items()}

    def _origin(self, rows: Rows, step: Any) -> Origin | None:
        """Return the origin of the images; fed images count as the first of the training set."""
        if not any("alternating_flip" in entry for entry in self._config.augment):
            return None
        name = "images" if self.own is None else "labels"
        batch = tf.shape(rows[name], out_type=tf.int64)[0]
        places = tf.range(batch)
        # A fed batch may have any size, so there are as many indices as images.
        known = tf.concat([rows["indices"], places], axis=0)[:batch]
        epoch_size = self._num_train if self.sampler is None else self.sampler.epoch_size
        epochs = tf.math.floordiv(step * self._config.batch_size + places, epoch_size)
        return Origin(tf.math.floormod(known, self._num_train), epochs, self._num_train)


def without_inputs(batch: Batch) -> Batch:
    """Return the parts of a batch that losses and metrics need."""
    return {name: value for name, value in batch.items() if name != "inputs"}


def class_weight_array(
    class_weights: Any, labels: npt.NDArray[np.int32], class_names: tuple[str, ...]
) -> npt.NDArray[np.float32]:
    """Return each class's factor, float32 [num_classes].

    Args:
        class_weights: a list in the order of the classes, or a mapping from a class's name or
            number to its factor. Classes that are not in the mapping have the factor 1.
            "balanced" gives a class the factor n / (num_classes x images of the class), as in
            scikit-learn, or 0 if it has no images.
        labels: labels of the training images.
        class_names: one for each class.

    Raises:
        UsageError: as for `check_class_weights`.
    """
    check_class_weights(class_weights, class_names)
    if class_weights == "balanced":
        counts = np.bincount(labels, minlength=len(class_names))
        factors = len(labels) / (len(class_names) * np.maximum(counts, 1))
        return np.where(counts > 0, factors, 0).astype(np.float32)
    if isinstance(class_weights, dict):
        of_number = {_class_number(key, class_names): f for key, f in class_weights.items()}
        class_weights = [of_number.get(number, 1.0) for number in range(len(class_names))]
    return np.asarray(class_weights, np.float32)


def check_class_weights(class_weights: Any, class_names: tuple[str, ...]) -> None:
    """Refuse class weights that do not fit the classes.

    Raises:
        UsageError: a list of another length, a name or number that is not a class, or a class that
            is named twice.
    """
    if isinstance(class_weights, list) and len(class_weights) != len(class_names):
        raise UsageError(
            f"--class_weights has {len(class_weights)} factors for {len(class_names)} classes"
        )
    if isinstance(class_weights, dict):
        numbers = [_class_number(key, class_names) for key in class_weights]
        for key, number in zip(class_weights, numbers, strict=True):
            if numbers.count(number) > 1:
                raise UsageError(f"--class_weights: the class {key} has two factors")


def _class_number(key: str | int, class_names: tuple[str, ...]) -> int:
    """Return the number of the class that has this name or number."""
    if key in class_names:
        return class_names.index(str(key))
    if str(key) not in map(str, range(len(class_names))):
        raise UsageError(
            f"--class_weights: no class {key}; the classes are {', '.join(class_names)}"
        )
    number = int(key)
    if str(key) in class_names and class_names[number] != str(key):
        raise UsageError(
            f"--class_weights: {key} is the number of one class and the name of another; put "
            "a name in quotes"
        )
    return number
