"""Keras 3 on TensorFlow: `compile`, `fit` and `evaluate`."""

import time
from pathlib import Path
from typing import Any

import keras
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

TUNING_SECS = 0.5  # long enough to make the fixed cost of a call of `fit` negligible


class KerasContestant(Contestant):
    """`model.fit` on arrays or tensors; see scripts.bench.contestants.Contestant.

    `fit` computes only the loss and shows no progress bar.
    """

    def __init__(
        self,
        workload: Workload,
        data_dir: str,
        scratch: Path,
        *,
        jit_compile: bool | str = "auto",
        execution_secs: float = 0.0,
        as_tensors: bool = False,
    ) -> None:
        """Build the model.

        Args:
            workload: what to train.
            data_dir: folder of the data files.
            scratch: not used.
            jit_compile: argument of `compile`; "auto" is False on a CPU.
            execution_secs: `tune` chooses steps_per_execution so that an execution takes about
                this many seconds; 0: one step.
            as_tensors: whether `fit` gets tensors instead of NumPy arrays.
        """
        del scratch
        dataset = load_dataset(workload.dataset, data_dir)
        self._workload = workload
        self._test = dataset.test
        self._images: Any = dataset.train.images
        self._labels: Any = training_labels(workload, dataset.train.labels.astype(np.int64))
        if as_tensors:
            self._images, self._labels = tf.constant(self._images), tf.constant(self._labels)
        self._execution_secs = execution_secs
        self._jit = {"jit_compile": jit_compile}
        self._model = build_model(workload, self._images.shape[1:])
        self._compile(1)
        self._evaluated = keras.Model(self._model.inputs, self._model.outputs)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self._evaluated.compile(loss=loss, metrics=["accuracy"], **self._jit)
        probabilities = keras.layers.Softmax()(self._model.output)
        self._predicting = keras.Model(self._model.inputs, probabilities)
        self._predicting.compile(**self._jit)

    def run(self, steps: int) -> int:
        """Make training steps in one call of `fit`: whole epochs, or less than one."""
        batch_size = self._workload.batch_size
        steps_an_epoch = len(self._labels) // batch_size
        epochs = max(1, round(steps / steps_an_epoch))
        steps_an_epoch = min(steps, steps_an_epoch)
        num_images = steps_an_epoch * batch_size
        self._model.fit(
            self._images[:num_images],
            self._labels[:num_images],
            batch_size=batch_size,
            epochs=epochs,
            verbose=0,
        )
        return epochs * steps_an_epoch

    def tune(self) -> None:
        """Choose steps_per_execution."""
        if not self._execution_secs:
            return
        made, secs = 1, 0.0
        while secs < TUNING_SECS:
            started = time.perf_counter()
            made = self.run(2 * made)
            secs = time.perf_counter() - started
        self._compile(max(1, round(made * self._execution_secs / secs)))
        self.run(1)

    def load(self, start_file: Path) -> None:
        """Load the weights of a start file."""
        load_weights(self._model, start_file)

    def losses(self, start_file: Path, steps: int) -> list[float]:
        """Start from the file; return each step's loss on the file's batches."""
        self.load(start_file)
        images, labels = np.asarray(self._images), np.asarray(self._labels)
        losses = []
        with np.load(start_file) as start:
            batches = start["batches"][:steps]
        for batch in batches:
            self._model.reset_metrics()  # otherwise the loss is the mean over the steps so far
            losses.append(float(self._model.train_on_batch(images[batch], labels[batch])))
        return losses

    def evaluate(self, batch_size: int) -> dict[str, float]:
        """Return loss and accuracy of the test set by `model.evaluate`."""
        images, labels = self._test.images, self._test.labels
        found = self._evaluated.evaluate(
            images, labels, batch_size=batch_size, verbose=0, return_dict=True
        )
        return {**found, "n": len(labels)}

    def predict(self, batch_size: int) -> Any:
        """Return class probabilities of the test set by `model.predict`."""
        return self._predicting.predict(self._test.images, batch_size=batch_size, verbose=0)

    def _compile(self, steps_per_execution: int) -> None:
        self._model.compile(
            optimizer=make_optimizer(self._workload),
            loss=make_loss(self._workload),
            steps_per_execution=steps_per_execution,
            **self._jit,
        )
