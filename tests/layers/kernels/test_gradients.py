"""Gradients that are told."""

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest

from cnnlab import layers
from cnnlab.base.tf1 import tf, tf2
from cnnlab.layers.kernels.gradients import with_gradient
from tests import small_run


def tenfold(x: Any, weight: Any) -> list[Any]:
    """x and x weight; the gradient of x is ten times that by x weight, of weight that by x."""
    return with_gradient([x + 0, x * weight], [x, weight], lambda of_x, of_y: [10 * of_y, of_x])


def test_they_are_as_told_where_results_are_used_or_not() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        x, weight = tf.constant(2.0), tf.constant(3.0)
        first, second = tenfold(x, weight)
        assert session.run([first, second]) == [2.0, 6.0]
        assert session.run(tf.gradients(second, [x, weight])) == [10.0, 0.0]
        assert session.run(tf.gradients([first, 4 * second], [x, weight])) == [40.0, 1.0]


def test_they_are_each_graph_s_own() -> None:
    """In a function in a loop, under names that the graph around has too."""
    with tf.Graph().as_default(), tf.Session() as session:
        x, weight = tf.constant(2.0), tf.constant(3.0)
        with_gradient([x * 1], [x], lambda of_x: [100 * of_x])

        @tf2.function(autograph=False)
        def gradient_of(x: Any) -> Any:
            return tf.gradients(tenfold(x, weight)[1], x)[0]

        total = tf.while_loop(
            lambda i, _: i < 3, lambda i, total: (i + 1, total + gradient_of(x)), (0, 0.0)
        )[1]
        assert session.run(total) == 30.0


def network(images: Any, num_classes: int, *, training: bool) -> Any:
    x = layers.conv2d(images, 32, 3, padding="same", name="conv1")
    x = layers.conv2d(x, 32, 5, padding="same", name="conv2")
    x = layers.batch_normalization(x[..., :20], training=training, name="norm")
    return layers.dense(layers.flatten(x), num_classes, name="logits")


@pytest.mark.slow
def test_a_graph_is_freed(tmp_path: Path) -> None:
    with small_run.make(tmp_path, network, steps=1) as train:
        assert train.train()["finished"]
        graph = weakref.ref(train.graph)
        assert train.graph.get_collection("GivenGradient")
    del train
    gc.collect()
    assert graph() is None
