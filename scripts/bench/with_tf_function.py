"""A training step with Keras layers and a `tf.function`, the way of TensorFlow 2."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cnnlab.data.datasets import load_dataset
from scripts.bench.contestants import Contestant
from scripts.bench.keras_model import (
    build_model,
    load_weights,
    make_loss,
    make_optimizer,
    training_labels,
)
from scripts.bench.workloads import Workload

SHUFFLE_BUFFER = 10_000


class TfFunctionContestant(Contestant):
    """A custom training loop; see scripts.bench.contestants.Contestant."""

    def __init__(
        self,
        workload: Workload,
        data_dir: str,
        scratch: Path,
        *,
        is_expert: bool = False,
        jit_compile: bool = False,
    ) -> None:
        """Build the model.

        Args:
            workload: what to train.
            data_dir: folder of the data files.
            scratch: not used.
            is_expert: True: all steps run in one loop inside the function, on batches gathered from
                tensors. False: each step is one call, on a batch of a tf.data pipeline.
            jit_compile: whether XLA compiles the step.
        """
        del scratch
        dataset = load_dataset(workload.dataset, data_dir)
        self._batch_size = workload.batch_size
        labels = training_labels(workload, dataset.train.labels.astype(np.int64))
        self._images, self._labels = tf.constant(dataset.train.images), tf.constant(labels)
        self._test = dataset.test
        self._model = build_model(workload, dataset.train.images.shape[1:])
        self._optimizer = make_optimizer(workload)
        self._optimizer.build(self._model.trainable_variables)
        self._loss = make_loss(workload)
        self._step = tf.function(self._train, jit_compile=jit_compile)
        self._evaluation_step = tf.function(self._evaluate, jit_compile=jit_compile)
        self._prediction_step = tf.function(self._probabilities, jit_compile=jit_compile)
        self._is_expert = is_expert
        if is_expert:
            self._order = tf.Variable(tf.random.shuffle(tf.range(len(labels))))
            self._position = tf.Variable(0)
            self._steps = tf.function(self._train_steps)
        else:
            self._batches = iter(self._make_batches())

    def run(self, steps: int) -> int:
        """Make training steps."""
        if self._is_expert:
            self._steps(tf.constant(steps))
        else:
            for _ in range(steps):
                self._step(*next(self._batches))
        tf.test.experimental.sync_devices()
        return steps

    def load(self, start_file: Path) -> None:
        """Load the weights of a start file."""
        load_weights(self._model, start_file)

    def losses(self, start_file: Path, steps: int) -> list[float]:
        """Start from the file; return each step's loss on the file's batches."""
        self.load(start_file)
        with np.load(start_file) as start:
            batches = start["batches"][:steps]
        return [
            float(self._step(tf.gather(self._images, batch), tf.gather(self._labels, batch)))
            for batch in batches
        ]

    def evaluate(self, batch_size: int) -> dict[str, float]:
        """Return loss and accuracy of the test set."""
        loss, correct, n = 0.0, 0, len(self._test.labels)
        for first in range(0, n, batch_size):
            part = slice(first, first + batch_size)
            images, labels = self._test.images[part], self._test.labels[part].astype(np.int64)
            sum_of_losses, num_correct = self._evaluation_step(
                tf.constant(images), tf.constant(labels)
            )
            loss += float(sum_of_losses)
            correct += int(num_correct)
        return {"loss": loss / n, "accuracy": correct / n, "n": n}

    def predict(self, batch_size: int) -> Any:
        """Return class probabilities of the test set."""
        images = self._test.images
        batches = [
            self._prediction_step(tf.constant(images[first : first + batch_size])).numpy()
            for first in range(0, len(images), batch_size)
        ]
        return np.concatenate(batches)

    def _make_batches(self) -> Any:
        slices = tf.data.Dataset.from_tensor_slices((self._images, self._labels))
        batches = slices.shuffle(SHUFFLE_BUFFER).repeat().batch(self._batch_size)
        return batches.prefetch(tf.data.AUTOTUNE)

    def _train(self, images: Any, labels: Any) -> Any:
        """Make one step; return its loss."""
        weights = self._model.trainable_variables
        with tf.GradientTape() as tape:
            loss = self._loss(labels, self._model(images, training=True))
        gradients = tape.gradient(loss, weights)
        self._optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return loss

    def _train_steps(self, steps: Any) -> None:
        """Make steps on the next batches; each epoch has a new random order."""
        for _ in tf.range(steps):
            if self._position + self._batch_size > tf.size(self._order):
                self._order.assign(tf.random.shuffle(self._order))
                self._position.assign(0)
            batch = self._order[self._position : self._position + self._batch_size]
            batch = tf.ensure_shape(batch, [self._batch_size])
            self._position.assign_add(self._batch_size)
            self._step(tf.gather(self._images, batch), tf.gather(self._labels, batch))

    def _probabilities(self, images: Any) -> Any:
        return tf.nn.softmax(self._model(images, training=False))

    def _evaluate(self, images: Any, labels: Any) -> Any:
        """Return the sum of losses and the number of correct predictions."""
        logits = self._model(images, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        is_correct = tf.equal(tf.argmax(logits, axis=1), labels)
        return tf.reduce_sum(losses), tf.reduce_sum(tf.cast(is_correct, tf.int32))
