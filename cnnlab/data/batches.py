"""The batch of a step: drawn from the resident training set, augmented, scaled.

A batch is a dict, so that it holds only what the run has:
    inputs: float32 [batch, height, width, channels], as the network takes them.
    labels: int64 [batch], range [0, num_classes).
    targets: float32 [batch, num_classes], rows sum to 1; where an augmentation mixes labels.
    weights: float32 [batch], factor of each example's loss; where there are class weights or
        example weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import UsageError
from cnnlab.base.randomness import Origin, StepKeys
from cnnlab.base.tf1 import is_on_cpu, tf
from cnnlab.config.augmentations import mixes_labels
from cnnlab.config.config import Config
from cnnlab.data.augment import Mixed, augment_and_mix
from cnnlab.data.augment.recipe import scaling_of, shape_after
from cnnlab.data.chunk import Chunk
from cnnlab.data.datasets import Split
from cnnlab.data.pipeline import build_resident_data, make_batch_stream, make_index_stream
from cnnlab.data.scaling import InputStatistics, scale
from cnnlab.data.specs import DatasetSpec

Batch = dict[str, Any]


class BatchSource:
    """The training set in the graph, and the batches made of it.

    Attributes:
        has_weights: whether batches have weights.
        input_shape: (height, width, channels) of the inputs.
        chunk: where batches come from in chunks; None where they come one by one.
    """

    def __init__(
        self,
        config: Config,
        spec: DatasetSpec,
        num_train: int,
        first_step: int,
        statistics: InputStatistics | None,
        *,
        has_example_weights: bool = False,
        steps_in_chunk: int = 0,
    ) -> None:
        """Add the resident data and the stream of batches to the default graph.

        Args:
            config: gives batch size, seed, augmentation, scaling and class weights.
            spec: gives image shape and classes.
            num_train: number of training images.
            first_step: the step whose batch comes first.
            statistics: what the scaling wants to know of the training set, if anything.
            has_example_weights: whether the data has a weight for each training example.
            steps_in_chunk: how many batches come at once, of data on the CPU and not augmented;
                0: they come one by one.
        """
        self._config, self._spec, self._num_train = config, spec, num_train
        self._scaling = scaling_of(config.augment, config.scaling)
        self._statistics = statistics
        self._mixes = mixes_labels(config.augment) is not None
        self.has_weights = has_example_weights or config.class_weights is not None
        self.input_shape = shape_after(config.augment, spec.image_shape)
        self._data = build_resident_data(
            spec.image_shape,
            num_train,
            has_weights=has_example_weights,
            num_class_weights=spec.num_classes if config.class_weights is not None else None,
        )
        place = (config.batch_size, config.seed, first_step)
        # A GPU's data stays there, and is collected there.
        self._streams_rows = is_on_cpu(self._data.images.handle)
        self.chunk: Chunk | None = None
        if steps_in_chunk:
            self.chunk = Chunk(self._data, *place, steps_in_chunk)
        elif self._streams_rows:
            self._stream = make_batch_stream(self._data, *place)
        else:
            self._stream = make_index_stream(num_train, *place)

    def fill(self, session: Any, train: Split) -> None:
        """Make the training set resident."""
        class_weights = None
        if self._config.class_weights is not None:
            class_weights = class_weight_array(
                self._config.class_weights, train.labels, self._spec.class_names
            )
        self._data.fill(session, train.images, train.labels, train.weights, class_weights)
        if self.chunk is not None:
            session.run(self.chunk.init_op)

    def draw(self, step: Any) -> Batch:
        """The batch of a step, from the stream."""
        return self.draw_both(step)[1]

    def draw_both(self, step: Any) -> tuple[Batch, Batch]:
        """What a step's batch is made of (images uint8, labels), and the batch."""
        raw = self._next_rows()
        return raw, self.prepare(raw, step)

    def draw_unless_fed(self, step: Any, images_ph: Any, labels_ph: Any) -> Batch:
        """As `draw`, but with the images that are fed, if any are. The stream moves on all the
        same."""
        drawn = self._next_rows()

        def fed() -> Batch:
            raw = {"indices": drawn["indices"], "images": images_ph, "labels": labels_ph}
            if self._data.weights is not None:
                raw["weights"] = tf.ones([tf.shape(images_ph)[0]], tf.float32)
            return raw

        # What is fed waits for the stream's batch too: the loop must not draw the next one before.
        with tf.control_dependencies([drawn["indices"]]):
            raw = tf.cond(tf.shape(images_ph)[0] > 0, fed, lambda: dict(drawn))
        return self.prepare(raw, step)

    def shapes(self) -> dict[str, Any]:
        """The static shape of each part of a batch."""
        shapes = {"inputs": [None, *self.input_shape], "labels": [None]}
        if self._mixes:
            shapes["targets"] = [None, self._spec.num_classes]
        if self.has_weights:
            shapes["weights"] = [None]
        return {name: tf.TensorShape(shape) for name, shape in shapes.items()}

    def _next_rows(self) -> Batch:
        drawn = self._stream.get_next()
        return drawn if self._streams_rows else self._data.rows(drawn)

    def prepare(self, raw: Batch, step: Any) -> Batch:
        """The batch of what it is made of: images uint8, labels and so on, as the step has it."""
        with tf.name_scope("prepare"):
            labels, weights = raw["labels"], raw.get("weights")
            if self._data.class_weights is not None:
                factors = tf.gather(self._data.class_weights, labels)
                weights = factors if weights is None else weights * factors
            targets = tf.one_hot(labels, self._spec.num_classes) if self._mixes else None
            images = raw["images"]
            keys = StepKeys(self._config.seed, step, self._origin(raw, step))
            mixed = augment_and_mix(Mixed(images, targets, weights), self._config.augment, keys)
            batch = {
                "inputs": scale(mixed.images, self._scaling, self._statistics),
                "labels": labels,
                "targets": mixed.targets,
                "weights": mixed.weights,
            }
        return {name: tensor for name, tensor in batch.items() if tensor is not None}

    def _origin(self, raw: Batch, step: Any) -> Origin | None:
        """Images that are fed count as the first ones of the training set."""
        if not any("alternating_flip" in entry for entry in self._config.augment):
            return None
        batch = tf.shape(raw["images"], out_type=tf.int64)[0]
        places = tf.range(batch)
        # As many as there are images: a fed batch may be of any size.
        known = tf.concat([raw["indices"], places], axis=0)[:batch]
        epochs = tf.math.floordiv(step * self._config.batch_size + places, self._num_train)
        return Origin(tf.math.floormod(known, self._num_train), epochs, self._num_train)


def without_inputs(batch: Batch) -> Batch:
    """What losses and figures need of a batch."""
    return {name: value for name, value in batch.items() if name != "inputs"}


def class_weight_array(
    class_weights: Any, labels: npt.NDArray[np.int32], class_names: tuple[str, ...]
) -> npt.NDArray[np.float32]:
    """Each class's factor, float32 [num_classes].

    Args:
        class_weights: "balanced": n / (num_classes x images of the class), as scikit-learn has it,
            0 for a class without images; a list in the order of the classes; or class name to
            factor, 1 for classes that are not named.
        labels: of the training images.
        class_names: one for each class.

    Raises:
        UsageError: as `check_class_weights`.
    """
    check_class_weights(class_weights, class_names)
    if class_weights == "balanced":
        counts = np.bincount(labels, minlength=len(class_names))
        factors = len(labels) / (len(class_names) * np.maximum(counts, 1))
        return np.where(counts > 0, factors, 0).astype(np.float32)
    if isinstance(class_weights, dict):
        class_weights = [class_weights.get(name, 1.0) for name in class_names]
    return np.asarray(class_weights, np.float32)


def check_class_weights(class_weights: Any, class_names: tuple[str, ...]) -> None:
    """Refuse class weights that do not fit the classes.

    Raises:
        UsageError: a list of another length, or a name that is no class.
    """
    if isinstance(class_weights, list) and len(class_weights) != len(class_names):
        raise UsageError(
            f"--class_weights has {len(class_weights)} factors for {len(class_names)} classes"
        )
    if isinstance(class_weights, dict):
        for name in class_weights:
            if name not in class_names:
                raise UsageError(
                    f"--class_weights: no class {name}; the classes are {', '.join(class_names)}"
                )
