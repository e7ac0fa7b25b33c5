"""With functions of the user's own, stopping and resuming do not change a bit.

For every ingredient: a run whose steps are made one by one is compared with one that is stopped
within an epoch, resumed, and made in longer session runs.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import tf
from tests import small_run


def focal(labels: Any, logits: Any) -> Any:
    truth = tf.one_hot(labels, 4) if labels.shape.rank == 1 else labels
    shares = tf.nn.softmax(logits)
    return -tf.reduce_sum(truth * (1 - shares) ** 2 * tf.math.log(shares + 1e-6), axis=1)


def adam(learning_rate: Any) -> Any:
    return tf.train.AdamOptimizer(learning_rate, beta1=0.8)


def triangle(step: Any) -> Any:
    place = tf.cast(tf.math.floormod(step, 6), tf.float32)
    return 0.001 + 0.01 * tf.abs(place - 3) / 3


def jitter(images: Any, key: Any, amount: float = 20.0) -> Any:
    noise = tf.random.stateless_normal(tf.shape(images), seed=key)
    return tf.clip_by_value(images + amount * noise, 0, 255)


def make_heavy_ball(learning_rate: Any) -> Any:
    """Return an optimizer with a slot and with a variable of its own."""

    class HeavyBall(tf.train.Optimizer):
        def __init__(self) -> None:
            super().__init__(use_locking=False, name="HeavyBall")

        def _create_slots(self, var_list: list[Any]) -> None:
            for variable in var_list:
                self._zeros_slot(variable, "speed", self._name)
            self._create_non_slot_variable(1.0, "decay", var_list[0])

        def _decay(self) -> Any:
            with tf.init_scope():
                graph = tf.get_default_graph()
            return self._get_non_slot_variable("decay", graph=graph)

        def _resource_apply_dense(self, grad: Any, handle: Any) -> Any:
            speed = self.get_slot(handle, "speed")
            faster = 0.9 * speed.read_value() + self._decay().read_value() * grad
            with tf.control_dependencies([speed.assign(faster)]):
                return handle.assign_sub(learning_rate * faster)

        def _finish(self, update_ops: list[Any], name_scope: str) -> Any:
            with tf.control_dependencies(update_ops):
                return tf.group(self._decay().assign(self._decay().read_value() * 0.99))

    return HeavyBall()


CASES: dict[str, dict[str, Any]] = {
    "loss": {"loss": focal, "class_weights": [1.0, 2.0, 0.5, 1.0], "l2": 0.001},
    "loss of mixed labels": {"loss": focal, "augment": ["flip", "mixup"]},
    "loss of parts": {"loss": focal, "micro_batches": 2},
    "optimizer": {"optimizer": adam, "clip_norm": 0.5, "weight_decay": 0.01},
    "optimizer of groups": {
        "optimizer": make_heavy_ball,
        "micro_batches": 3,
        "parameter_groups": {"bias": 2.0, "conv1": {"rate": 0.5, "steps": 4}},
        "weight_decay": 0.1,
        "weight_decay_mode": "decoupled",
    },
    "schedule": {"schedule": triangle, "learning_rate": 0.001, "on_nan": "rollback"},
    "augmentation": {"augment": ["flip", jitter, {jitter: {"amount": 5.0}}, "cutout"]},
    "all": {
        "loss": focal,
        "optimizer": make_heavy_ball,
        "schedule": triangle,
        "learning_rate": 0.001,
        "augment": [jitter],
        "metrics": {"loss_again": focal},
        "ema_decay": 0.9,
    },
}


def options_of(case: str) -> dict[str, Any]:
    return {**small_run.BUSY, **CASES[case]}


SLOW = [pytest.param(case, marks=pytest.mark.slow) for case in CASES if case != "all"]


@pytest.mark.parametrize("case", ["all", *SLOW])
@pytest.mark.slow
def test_resuming_changes_no_bit(tmp_path: Path, case: str) -> None:
    options = options_of(case)
    whole = small_run.run(tmp_path / "whole", steps_per_run=1, **options)
    assert all(np.isfinite(value).all() for value in whole.values())
    folder = tmp_path / "stopped"
    with small_run.make(folder, hooks=[small_run.StopAt(5)], steps_per_run=7, **options) as train:
        assert train.train()["finished"] is False
        assert train.step == 5
    small_run.assert_same_bits(whole, small_run.run(folder, **options))


@pytest.mark.slow
def test_the_optimizer_s_state_is_in_the_checkpoint(tmp_path: Path) -> None:
    found = small_run.run(tmp_path / "run", **options_of("all"))
    assert np.any(found["conv1/kernel/HeavyBall"] != 0)
    assert found["optimizer/decay"] == pytest.approx(0.99**9)


def crossed(labels: Any, logits: Any) -> Any:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def usual_adam(learning_rate: Any) -> Any:
    return tf.train.AdamOptimizer(learning_rate)


def hundredth(step: Any) -> float:
    return 0.01


@pytest.mark.slow
def test_what_cnnlab_has_too_gives_the_same_bits(tmp_path: Path) -> None:
    known = {"loss": "softmax", "optimizer": "adam", "schedule": "constant", "learning_rate": 0.01}
    own = {"loss": crossed, "optimizer": usual_adam, "schedule": hundredth, "learning_rate": 0.001}
    small_run.assert_same_bits(
        small_run.run(tmp_path / "own", **own), small_run.run(tmp_path / "known", **known)
    )
