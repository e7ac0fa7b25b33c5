"""What the options for all layers do not reach is said in one line."""

import re
from pathlib import Path
from typing import Any

import pytest

from cnnlab import layers
from cnnlab.base.tf1 import tf
from tests import small_run


def net(images: Any, num_classes: int, *, training: bool) -> Any:
    """A net of layers and of TensorFlow's own operations."""
    x = layers.conv2d(images, 3, 3, activation="relu", kernel_regularizer=small_run.l2, name="c1")
    x = tf.nn.relu(layers.conv2d(x, 3, 3, activation=tf.nn.relu, name="c2"))
    x = layers.flatten(layers.activate(layers.max_pooling2d(x, 2, 2), tf.nn.relu))
    matrix = tf.Variable(tf.truncated_normal([int(x.shape[1]), num_classes]), name="matrix")
    return tf.matmul(x, matrix)


def layers_only(images: Any, num_classes: int, *, training: bool) -> Any:
    x = layers.conv2d(images, 3, 3, activation=tf.nn.relu, name="c1")
    return layers.dense(layers.flatten(x), num_classes, name="logits")


def no_kernel(images: Any, num_classes: int, *, training: bool) -> Any:
    return tf.reduce_mean(images, [1, 2])[:, :1] + tf.Variable(tf.zeros([num_classes]))


HERE = r".*tests/graph/test_reach.py:\d+ \(in net\)"
CASES: list[tuple[Any, dict[str, Any], str]] = [
    (net, {"activation": "elu"}, f"activation=elu does not reach tf.nn.relu at {HERE}"),
    (net, {"precision": "bfloat16"}, f"precision=bfloat16 does not reach tf.matmul at {HERE}"),
    (net, {"l2": 0.5}, "l2=0.5 does not reach c1/kernel, which has its own regularizer"),
    (net, {"kernel_initializer": "he_normal", "l1": 0.0}, ""),
    (layers_only, {"activation": "elu", "precision": "bfloat16", "l1": 0.5}, ""),
    (net, {}, ""),
    (
        no_kernel,
        {"l1": 0.5, "kernel_initializer": "zeros"},
        "l1=0.5 does not reach any kernel; --kernel_initializer=zeros does not reach any kernel",
    ),
]


@pytest.mark.parametrize(("model", "options", "expected"), CASES)
@pytest.mark.slow
def test_what_options_do_not_reach(
    tmp_path: Path, model: Any, options: dict[str, Any], expected: str
) -> None:
    with small_run.make(tmp_path, model, **options) as train:
        train.build_graph()
        found = train.train_graph.inference.unreached
    assert re.fullmatch(f"--{expected}" if expected else "", found), found


@pytest.mark.slow
def test_the_line_is_printed_at_the_start(tmp_path: Path, capfd: Any) -> None:
    small_run.run(tmp_path, net, activation="elu", steps=1)
    lines = capfd.readouterr().err.splitlines()
    assert "activation=elu does not reach tf.nn.relu at" in lines[1]
