"""The plain training loop of TensorFlow 1's tutorials.

The arrays are constants of the graph and pass through `from_tensor_slices`, shuffle, repeat, batch
and a one-shot iterator. In each step the loop fetches a batch as arrays, then runs the training
operation with a feed_dict. Images are fed as uint8 and scaled in the graph, which is the fastest
plain way. From cnnlab it uses only the readers of the data files.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow.compat.v1 as tf
from tf_keras.src.legacy_tf_layers import convolutional, core, normalization, pooling

from cnnlab.data.datasets import load_dataset
from scripts.bench import networks
from scripts.bench.contestants import Contestant
from scripts.bench.workloads import DECAY_STEPS, NUM_CLASSES, Workload

SHUFFLE_BUFFER: Final = 10_000

tf.disable_v2_behavior()


class PlainContestant(Contestant):
    """A plain loop; see scripts.bench.contestants.Contestant."""

    def __init__(self, workload: Workload, data_dir: str, scratch: Path) -> None:
        del scratch
        dataset = load_dataset(workload.dataset, data_dir)
        self._images, self._labels = dataset.train.images, dataset.train.labels.astype(np.int64)
        self._test = dataset.test
        self._images_ph = tf.placeholder(tf.uint8, [None, *self._images.shape[1:]])
        self._labels_ph = tf.placeholder(tf.int64, [None])
        self._training_ph = tf.placeholder_with_default(False, [])
        factor, summand = workload.pixel_scale
        x = tf.cast(self._images_ph, tf.float32) * factor + summand
        for layer in workload.layers:
            x = _apply(layer, x, self._training_ph)
        self._loss = tf.losses.softmax_cross_entropy(
            tf.one_hot(self._labels_ph, NUM_CLASSES), x, label_smoothing=workload.label_smoothing
        )
        self._losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=self._labels_ph, logits=x
        )
        self._probabilities = tf.nn.softmax(x)
        self._is_correct = tf.equal(tf.argmax(x, axis=1), self._labels_ph)
        self._train_op = _train_op(workload, self._loss)
        self._batch_size = workload.batch_size
        self._next_batch: Any = None
        self._session: Any = None

    def run(self, steps: int) -> int:
        """Make training steps: one session run for the batch and one for the update."""
        if self._next_batch is None:
            self._next_batch = self._make_batches()
            self._start_session()
        for _ in range(steps):
            images, labels = self._session.run(self._next_batch)
            self._train(images, labels)
        return steps

    def load(self, start_file: Path) -> None:
        """Load the weights of a start file."""
        if self._session is None:
            self._start_session()
        # In one run, because with the data in the graph each new set of fetches costs a second.
        with np.load(start_file) as start:
            loaded = [v.initializer for v in tf.global_variables() if v.op.name in start]
            feed = {op.inputs[1]: start[op.inputs[0].op.name] for op in loaded}
            self._session.run(loaded, feed)

    def losses(self, start_file: Path, steps: int) -> list[float]:
        """Start from the file; return each step's loss on the file's batches."""
        self.load(start_file)
        with np.load(start_file) as start:
            batches = start["batches"][:steps]
        return [float(self._train(self._images[batch], self._labels[batch])) for batch in batches]

    def evaluate(self, batch_size: int) -> dict[str, float]:
        """Return loss and accuracy of the test set, with one session run per batch."""
        loss, correct, n = 0.0, 0, len(self._test.labels)
        for first in range(0, n, batch_size):
            part = slice(first, first + batch_size)
            feed = {
                self._images_ph: self._test.images[part],
                self._labels_ph: self._test.labels[part],
            }
            losses, is_correct = self._session.run([self._losses, self._is_correct], feed)
            loss += float(losses.sum())
            correct += int(is_correct.sum())
        return {"loss": loss / n, "accuracy": correct / n, "n": n}

    def predict(self, batch_size: int) -> Any:
        """Return class probabilities of the test set, with one session run per batch."""
        images = self._test.images
        batches = [
            self._session.run(
                self._probabilities, {self._images_ph: images[first : first + batch_size]}
            )
            for first in range(0, len(images), batch_size)
        ]
        return np.concatenate(batches)

    def _make_batches(self) -> Any:
        slices = tf.data.Dataset.from_tensor_slices((self._images, self._labels))
        batches = slices.shuffle(SHUFFLE_BUFFER).repeat().batch(self._batch_size)
        return tf.data.make_one_shot_iterator(batches).get_next()

    def _start_session(self) -> None:
        self._session = tf.Session()
        self._session.run(tf.global_variables_initializer())

    def _train(self, images: Any, labels: Any) -> Any:
        feed = {self._images_ph: images, self._labels_ph: labels, self._training_ph: True}
        loss, _ = self._session.run([self._loss, self._train_op], feed)
        return loss


def _train_op(workload: Workload, loss: Any) -> Any:
    global_step = tf.train.get_or_create_global_step()
    rate = workload.learning_rate
    if workload.decay_rate != 1:
        rate = tf.train.exponential_decay(
            rate, global_step, DECAY_STEPS, workload.decay_rate, staircase=True
        )
    if workload.optimizer == "adam":
        optimizer = tf.train.AdamOptimizer(rate)
    elif workload.optimizer == "nesterov":
        optimizer = tf.train.MomentumOptimizer(rate, workload.momentum, use_nesterov=True)
    else:
        optimizer = tf.train.GradientDescentOptimizer(rate)
    frozen = [
        f"{layer.name}/kernel"
        for layer in workload.layers
        if isinstance(layer, networks.Conv) and layer.is_frozen
    ]
    trained = [variable for variable in tf.trainable_variables() if variable.op.name not in frozen]
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        return optimizer.minimize(loss, global_step=global_step, var_list=trained)


def _apply(layer: networks.Layer, x: Any, training: Any) -> Any:
    match layer:
        case networks.Conv(name, filters, side, is_padded, use_bias):
            settings = {"strides": layer.stride, "use_bias": use_bias, "name": name}
            if layer.stride > 1:  # "same" would pad only the right and lower sides
                x, is_padded = _padded(x, [0, side // 2, side // 2, 0], both_sides=True), False
            padding = "same" if is_padded else "valid"
            return convolutional.conv2d(x, filters, side, padding=padding, **settings)
        case networks.Dense(name, units, use_bias):
            return core.dense(x, units, use_bias=use_bias, name=name)
        case networks.BatchNorm(name, momentum, epsilon, has_scale):
            settings = {"momentum": momentum, "epsilon": epsilon, "scale": has_scale}
            return normalization.batch_normalization(x, training=training, name=name, **settings)
        case networks.Activation(function):
            if function == "gelu":
                return 0.5 * x * (1 + tf.math.erf(x * 0.5**0.5))
            return tf.nn.relu(x)
        case networks.MaxPool():
            return pooling.max_pooling2d(x, 2, 2)
        case networks.GlobalMax():
            return tf.reduce_max(x, axis=[1, 2])
        case networks.GlobalMean():
            return tf.reduce_mean(x, axis=[1, 2])
        case networks.Flatten():
            return core.flatten(x)
        case networks.Dropout(rate):
            return core.dropout(x, rate, training=training) if rate else x
        case networks.Scale(factor):
            return x * factor
        case networks.Residual(layers, filters, stride):
            shortcut = x[:, ::stride, ::stride] if stride > 1 else x
            more = filters - int(x.shape[3])
            shortcut = _padded(shortcut, [0, 0, 0, more]) if more else shortcut
            for inner in layers:
                x = _apply(inner, x, training)
            return tf.nn.relu(x + shortcut)


def _padded(x: Any, sizes: list[int], *, both_sides: bool = False) -> Any:
    return tf.pad(x, [[size if both_sides else 0, size] for size in sizes])
