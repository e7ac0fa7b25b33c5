"""Batch norm over the workers' batch, compared with TensorFlow's over the whole batch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnnlab.base.errors import UsageError
from cnnlab.base.tf1 import tf
from cnnlab.graph.update.reduction import Share, gather_buffers
from cnnlab.layers.kernels.sync_batch_norm import Channel, normalize_over_workers
from tests.graph.update import in_process

WORKERS, EPSILON = 2, 1e-3
CUT = 2  # images of the first worker; the second has three: uneven parts


def layer(**attributes: Any) -> Any:
    plain = {"renorm": False, "virtual_batch_size": None, "adjustment": None, "fused": True}
    return SimpleNamespace(name="norm", axis=[3], epsilon=EPSILON, **{**plain, **attributes})


def test_outputs_gradients_and_moments_are_those_of_the_whole_batch() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(50, 2, (5, 3, 3, 4)).astype(np.float32)
    gamma, beta = rng.normal(1, 1, (2, 4)).astype(np.float32)
    factors = rng.normal(0, 1, x.shape).astype(np.float32)  # an objective that is not symmetric

    def mean_of(outputs: Any, factors: Any) -> Any:
        return tf.reduce_mean(tf.reduce_sum(tf.tanh(outputs) * factors, axis=[1, 2, 3]))

    def build(worker: int) -> Any:
        part = slice(0, CUT) if worker == 0 else slice(CUT, None)
        inputs = [tf.constant(one) for one in (x[part], gamma, beta)]
        share, step = Share(WORKERS, worker), tf.constant(0, tf.int64)
        channel = Channel(*(lambda v, k=k: gather_buffers(v, share, step, k) for k in (0, 1)))
        outputs, mean, variance = normalize_over_workers(layer(), *inputs, channel)
        objective = mean_of(outputs, factors[part])
        return outputs, mean, variance, tf.gradients(objective, inputs)

    with tf.Graph().as_default(), tf.Session() as session:
        inputs = [tf.constant(one) for one in (x, gamma, beta)]
        outputs, mean, variance = tf.nn.fused_batch_norm(*inputs, epsilon=EPSILON)
        gradients = tf.gradients(mean_of(outputs, factors), inputs)
        expected = session.run([outputs, mean, variance, gradients])

    found = in_process.run(WORKERS, build)
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(np.concatenate([one[0] for one in found]), expected[0], **close)
    for one in found:
        np.testing.assert_allclose(one[1], expected[1], **close)
        np.testing.assert_allclose(one[2], expected[2], **close)
    shares = [CUT / len(x), 1 - CUT / len(x)]  # as micro-batches are weighted
    scaled = [[share * g for g in one[3]] for share, one in zip(shares, found, strict=True)]
    of_x = np.concatenate([one[0] for one in scaled])
    np.testing.assert_allclose(of_x, expected[3][0], **close)
    for place in (1, 2):
        np.testing.assert_allclose(sum(one[place] for one in scaled), expected[3][place], **close)


@pytest.mark.parametrize("rare", [{"renorm": True}, {"virtual_batch_size": 2}])
def test_statistics_of_other_kinds_are_refused(rare: dict[str, Any]) -> None:
    with tf.Graph().as_default(), pytest.raises(UsageError, match=r"--sync_bn: norm has renorm"):
        normalize_over_workers(layer(**rare), tf.zeros([2, 3, 3, 4]), 1.0, 0.0, Channel(abs, abs))
