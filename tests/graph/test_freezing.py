"""Fine-tuning: frozen variables, frozen batch norm, and variables that are trained later."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import layers
from cnnlab.base.errors import UsageError
from cnnlab.base.tf1 import tf
from cnnlab.layers.tower import LayerDefaults, Tower, building
from tests import small_run

X = np.random.default_rng(5).normal(3, 2, (6, 4, 4, 16)).astype(np.float32)


@pytest.mark.slow
def test_only_matching_variables_are_trained(tmp_path: Path) -> None:
    """Penalties and averages do not change the others either."""
    options: dict[str, Any] = {"trainable": "^logits/", "l2": 0.01, "weight_decay": 0.01}
    with small_run.make(tmp_path / "run", **options, ema_decay=0.9) as train:
        start = small_run.variables(train)
        train.train()
        end = small_run.variables(train)
    for name in ("conv1/kernel", "conv1/bias", "norm1/gamma", "norm1/beta"):
        assert start[name].tobytes() == end[name].tobytes(), name
        assert start[f"ema/{name}"].tobytes() == end[f"ema/{name}"].tobytes(), name
    for name in ("norm1/moving_mean", "norm1/moving_variance"):
        assert start[name].tobytes() == end[name].tobytes(), name
    assert not np.array_equal(start["logits/kernel"], end["logits/kernel"])
    assert not any(name.startswith("optimizer/conv1") for name in end)


def normalized(step: int | None, **defaults: Any) -> tuple[Any, dict[str, Any]]:
    """Return the output of a batch norm, and its variables after the step; None: inference."""
    with tf.Graph().as_default(), tf.Session() as session:
        key_step = None if step is None else tf.constant(step, tf.int64)
        with building(Tower(1, key_step, defaults=LayerDefaults(**defaults))):
            y = layers.batch_normalization(tf.constant(X), training=step is not None, name="norm")
        session.run(tf.global_variables_initializer())
        value, _ = session.run([y, tf.get_collection(tf.GraphKeys.UPDATE_OPS)])
        return value, session.run({v.op.name: v for v in tf.global_variables()})


FROM_3 = {"parameter_groups": {"norm/gamma": {"from": 5}, "norm": {"from": 3, "rate": 2}}}


@pytest.mark.parametrize(
    ("step", "defaults", "is_frozen"),
    [
        (0, {}, False),
        (0, {"trainable": "conv"}, True),
        (0, {"trainable": "norm/beta"}, False),
        (2, FROM_3, True),
        (3, FROM_3, False),
        (5, {**FROM_3, "micro_batches": 2}, True),
        (6, {**FROM_3, "micro_batches": 2}, False),
    ],
)
def test_frozen_batch_norm(step: int, defaults: dict[str, Any], is_frozen: bool) -> None:
    """It computes as in inference, and its moving averages stay."""
    frozen, start = normalized(None)
    live, moved = normalized(0)
    expected, expected_variables = (frozen, start) if is_frozen else (live, moved)
    found, variables = normalized(step, **defaults)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    for name, value in expected_variables.items():
        np.testing.assert_allclose(variables[name], value, rtol=1e-5, err_msg=name)
    if is_frozen:
        assert all(variables[name].tobytes() == start[name].tobytes() for name in start)
    np.testing.assert_allclose(live.mean(axis=(0, 1, 2)), 0, atol=1e-4)  # not a copy of frozen


@pytest.mark.slow
def test_variables_that_are_trained_later(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "steps": 4,
        "parameter_groups": {"conv1|norm1": {"from": 3, "rate": 0.5}},
    }
    with small_run.make(tmp_path / "run", **options) as train:
        start = small_run.variables(train)
        found = []
        for steps in (3, 4):
            train.train(steps=steps)
            found.append(small_run.variables(train))
    for name in (n for n in start if n.startswith(("conv1/", "norm1/"))):
        assert start[name].tobytes() == found[0][name].tobytes(), name
        assert name == "conv1/bias" or not np.array_equal(start[name], found[1][name]), name
    assert not np.array_equal(start["logits/kernel"], found[0]["logits/kernel"])


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
@pytest.mark.slow
def test_cuts_change_nothing(optimizer: str, tmp_path: Path) -> None:
    small_run.assert_cuts_change_nothing(
        tmp_path,
        small_run.network,
        optimizer=optimizer,
        trainable="logits|norm1",
        parameter_groups={"norm1": {"from": 3}, "logits": 2},
    )


@pytest.mark.slow
def test_frozen_layers_have_no_backward_pass(tmp_path: Path) -> None:
    counts = []
    for options in ({}, {"trainable": "logits"}):
        with small_run.make(tmp_path / "run", **options) as train:
            definition = train.graph.as_graph_def()
        nodes = [n.op for f in definition.library.function for n in f.node_def]
        nodes += [node.op for node in definition.node]
        counts.append(sum("Backprop" in op or "PoolGrad" in op or op == "ReluGrad" for op in nodes))
    assert counts[0] > 0 == counts[1]


def test_a_pattern_that_nothing_matches(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match=r"--trainable=gone matches no variable .*it has conv1/ker"),
        small_run.make(tmp_path / "run", trainable="gone") as train,
    ):
        train.train()
    with pytest.raises(UsageError, match=r"--trainable=\( is not valid: not a regular expression"):
        small_run.make(tmp_path / "run", trainable="(")
