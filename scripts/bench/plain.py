"""The training loop as TensorFlow 1's tutorials have it, written plainly.

The arrays go into the graph as constants, through `from_tensor_slices`, shuffle, repeat, batch and
a one-shot iterator; the loop runs the iterator to get a batch as arrays, then runs the training op
with a feed_dict, once a step. Images are fed as uint8 and divided by 255 in the graph, the fastest
plain way. Of cnnlab it uses the readers of the data files only.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow.compat.v1 as tf
from tf_keras.src.legacy_tf_layers import convolutional, core, pooling

from bench.workloads import Workload
from cnnlab.data.datasets import load_dataset

SHUFFLE_BUFFER: Final = 10_000

tf.disable_v2_behavior()


class PlainContestant:
    """A plain loop; see bench.contestants.Contestant."""

    def __init__(self, workload: Workload, data_dir: str, scratch: Path) -> None:
        del scratch
        dataset = load_dataset(workload.dataset, data_dir)
        self._images, self._labels = dataset.train.images, dataset.train.labels.astype(np.int64)
        self._images_ph = tf.placeholder(tf.uint8, [None, *self._images.shape[1:]])
        self._labels_ph = tf.placeholder(tf.int64, [None])
        logits = NETWORKS[workload.model](tf.cast(self._images_ph, tf.float32) / 255.0)
        self._loss = tf.losses.sparse_softmax_cross_entropy(self._labels_ph, logits)
        global_step = tf.train.get_or_create_global_step()
        learning_rate = tf.train.exponential_decay(
            workload.learning_rate, global_step, 1000, workload.decay_rate, staircase=True
        )
        optimizers = {"adam": tf.train.AdamOptimizer, "sgd": tf.train.GradientDescentOptimizer}
        optimizer = optimizers[workload.optimizer](learning_rate)
        self._train_op = optimizer.minimize(self._loss, global_step=global_step)
        self._batch_size = workload.batch_size
        self._next_batch: Any = None
        self._session: Any = None

    def run(self, steps: int) -> None:
        """Make training steps, one session run for the batch and one for the update."""
        if self._next_batch is None:
            self._next_batch = self._make_batches()
            self._start_session()
        for _ in range(steps):
            images, labels = self._session.run(self._next_batch)
            self._train(images, labels)

    def losses(self, steps: int, start_file: Path) -> list[float]:
        """Return each step's loss from the weights and batches of the file."""
        self._start_session()
        with np.load(start_file) as start:
            for variable in tf.trainable_variables():
                variable.load(start[variable.op.name], self._session)
            batches = start["batches"][:steps]
        return [float(self._train(self._images[batch], self._labels[batch])) for batch in batches]

    def _make_batches(self) -> Any:
        slices = tf.data.Dataset.from_tensor_slices((self._images, self._labels))
        batches = slices.shuffle(SHUFFLE_BUFFER).repeat().batch(self._batch_size)
        return tf.data.make_one_shot_iterator(batches).get_next()

    def _start_session(self) -> None:
        self._session = tf.Session()
        self._session.run(tf.global_variables_initializer())

    def _train(self, images: Any, labels: Any) -> Any:
        feed = {self._images_ph: images, self._labels_ph: labels}
        loss, _ = self._session.run([self._loss, self._train_op], feed)
        return loss


def _mnist_perceptron(images: Any) -> Any:
    start = tf.random_normal_initializer(stddev=1.0)
    x = tf.reshape(images, [-1, 784])
    return core.dense(x, 10, kernel_initializer=start, bias_initializer=start, name="logits")


def _cifar_cnn(images: Any) -> Any:
    x = images
    for i, filters in enumerate((64, 64, 32), start=1):
        x = convolutional.conv2d(
            x, filters, 5, padding="same", activation=tf.nn.relu, name=f"conv{i}"
        )
        x = pooling.max_pooling2d(x, 2, 2)
    x = core.flatten(x)
    x = core.dense(x, 128, activation=tf.nn.relu, name="dense1")
    x = core.dense(x, 64, activation=tf.nn.relu, name="dense2")
    return core.dense(x, 10, name="logits")


NETWORKS: Final[dict[str, Callable[[Any], Any]]] = {
    "mnist_perceptron": _mnist_perceptron,
    "cifar_cnn": _cifar_cnn,
}
