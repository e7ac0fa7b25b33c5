"""Models that make their variables by `tf.Variable` and `tf.get_variable`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.base.tf1 import tf
from tests import small_run
from tests.layers.test_variables import weight


def classic_net(images: Any, num_classes: int, *, training: bool, width: int = 6) -> Any:
    """A model as in the tutorials of TensorFlow 1."""
    with tf.name_scope("conv"):
        kernel = weight([5, 5, int(images.shape[-1]), width], name="W")
        bias = tf.Variable(tf.constant(0.1, shape=[width]), name="b")
        x = tf.nn.relu(tf.nn.conv2d(images, kernel, strides=[1, 1, 1, 1], padding="SAME") + bias)
        x = tf.nn.max_pool(x, [1, 4, 4, 1], [1, 4, 4, 1], "SAME")
    x = tf.reshape(x, [-1, int(np.prod(x.shape[1:]))])
    scale = tf.Variable(tf.ones([]), trainable=False)
    matrix = weight([int(x.shape[1]), num_classes])
    return tf.matmul(x, matrix) * scale + tf.Variable(tf.zeros([num_classes]))


CLASSIC = ["conv/W", "conv/b", "Variable", "Variable_1", "Variable_2"]


WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "micro-batches and averages": {
        "micro_batches": 2,
        "ema_decay": 0.9,
        "eval_weights": "ema",
    },
    "XLA": {"xla": True},
    "lookahead": {"lookahead_steps": 2},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.slow
def test_the_classic_idiom_trains_resumes_and_evaluates(tmp_path: Path, way: str) -> None:
    options = {"model": classic_net, "model_options": {}, "steps": 6, **WAYS[way]}
    whole = small_run.run(tmp_path / "whole", **options)
    assert [name for name in CLASSIC if name in whole] == CLASSIC
    with small_run.make(tmp_path / "start", **options) as train:
        start = small_run.variables(train)
    moved = {name for name in CLASSIC if (start[name] != whole[name]).any()}
    assert moved == {*CLASSIC} - {"Variable"}  # not trainable
    small_run.run(tmp_path / "parts", **{**options, "steps": 3})
    parts = small_run.run(tmp_path / "parts", **options)
    assert parts.keys() == whole.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(parts[name], value, err_msg=name)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.slow
def test_initial_values_are_not_computed_in_a_step(tmp_path: Path, count: int) -> None:
    """The model makes their operations again in each copy. None of them may run."""
    options = {"model": classic_net, "model_options": {}, "micro_batches": count}
    with small_run.make(tmp_path, **options) as train:
        train.build_graph()
        record = tf.RunMetadata()
        every = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        train.session.run(train.train_op, options=every, run_metadata=record)
    ran = [node.node_name for device in record.step_stats.dev_stats for node in device.node_stats]
    assert any("Conv2D" in name for name in ran)
    assert not [name for name in ran if "truncated_normal" in name]
