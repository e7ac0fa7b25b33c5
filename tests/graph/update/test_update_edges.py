"""Edges of the update: frozen after N steps, gradients near float32's end, kernels of zeros."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cnnlab.config.config import Config
from cnnlab.graph.update.muon import muon_update
from cnnlab.graph.update.optimizers import build_update, global_norm


def run(session_steps: int, **options: Any) -> tuple[list[Any], list[str]]:
    """A weight of shape [3, 3, 2, 4] after each step with a constant gradient; variables' names."""
    v1 = tf.compat.v1
    start = np.random.default_rng(1).standard_normal((3, 3, 2, 4)).astype(np.float32)
    with tf.Graph().as_default(), v1.Session() as session:
        global_step = v1.train.get_or_create_global_step()
        kernel = v1.get_variable("conv/kernel", initializer=start, use_resource=True)
        bias = v1.get_variable("conv/bias", initializer=start[0, 0, 0], use_resource=True)
        gradients = [tf.ones_like(kernel), tf.ones_like(bias)]
        config = Config(learning_rate=0.1, **options)
        update = build_update(config, gradients, [kernel, bias], tf.constant(0.1), global_step)
        session.run(v1.global_variables_initializer())
        found = []
        for _ in range(session_steps):
            session.run(update)
            found.append(session.run({v.op.name: v for v in v1.global_variables()}))
        return found, [v.op.name for v in v1.global_variables()]


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "rmsprop", "momentum": 0.9},
        {"optimizer": "nesterov"},
        {"optimizer": "adam"},
        {"optimizer": "muon"},
    ],
    ids=lambda options: options["optimizer"],
)
@pytest.mark.slow
def test_after_its_steps_a_group_is_not_updated(options: Any) -> None:
    found, names = run(5, parameter_groups={"kernel": {"steps": 2}}, **options)
    kernels = [step["conv/kernel"] for step in found]
    assert not np.array_equal(kernels[0], kernels[1])
    for later in kernels[2:]:
        np.testing.assert_array_equal(later, kernels[1])
    assert not np.array_equal(found[3]["conv/bias"], found[4]["conv/bias"])
    if options["optimizer"] != "adam":  # whose counters are an optimizer's, not a variable's
        _, plain_names = run(1, parameter_groups={"kernel": 0.5}, **options)
        assert sorted(names) == sorted(plain_names)  # checkpoints stay readable


def test_the_norm_of_large_gradients_is_finite() -> None:
    gradients = [np.full((10, 10), 1e20, np.float32), np.full(3, -2e20, np.float32)]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        found = session.run(global_norm([tf.constant(g) for g in gradients]))
    expected = np.sqrt(sum(np.square(g.astype(np.float64)).sum() for g in gradients))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_clipping_large_gradients_clips_them() -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        v1 = tf.compat.v1
        global_step = v1.train.get_or_create_global_step()
        weights = v1.get_variable("w", initializer=np.zeros(4, np.float32), use_resource=True)
        config = Config(optimizer="sgd", clip_norm=2.0)
        gradient = tf.fill([4], 1e20)
        update = build_update(config, [gradient], [weights], tf.constant(1.0), global_step)
        session.run(v1.global_variables_initializer())
        session.run(update)
        np.testing.assert_allclose(session.run(weights), -1.0, rtol=1e-6)


def test_muon_from_a_kernel_of_zeros_is_finite() -> None:
    zeros = tf.zeros([3, 3, 2, 4])
    kernel, momentum = muon_update(zeros, tf.ones_like(zeros), zeros, 0.1, 0.6)
    assert np.isfinite(kernel).all()
    assert np.isfinite(momentum).all()
    assert np.abs(kernel).max() > 0
