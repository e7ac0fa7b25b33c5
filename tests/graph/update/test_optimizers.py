"""Trajectories of 20 steps against Keras's optimizers, or NumPy where Keras has another rule."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from cnnlab.base.errors import UsageError
from cnnlab.config.config import Config
from cnnlab.graph.update.muon import COEFFICIENTS, NEWTON_SCHULZ_STEPS, orthogonalize
from cnnlab.graph.update.optimizers import build_update

STEPS = 20
RNG = np.random.default_rng(7)
START = {
    "conv/kernel": RNG.normal(size=(3, 3, 2, 5)).astype(np.float32),
    "dense/kernel": RNG.normal(size=(4, 3)).astype(np.float32),
    "dense/bias": RNG.normal(size=3).astype(np.float32),
}
TARGETS = {n: RNG.normal(size=(STEPS, *v.shape)).astype(np.float32) for n, v in START.items()}


def gradients_at(step: int, weights: dict[str, Any]) -> dict[str, Any]:
    """Of a loss that changes with the step: sum of cosh(w - target of the step)."""
    return {n: np.sinh(w - TARGETS[n][step]).astype(np.float32) for n, w in weights.items()}


def ours(rate: float = 0.05, **options: Any) -> dict[str, Any]:
    """The weights after 20 steps of what the options ask for."""
    config = Config(learning_rate=rate, **options)
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        global_step = v1.train.get_or_create_global_step()
        variables, placeholders = {}, {}
        for name, value in START.items():
            variables[name] = v1.get_variable(name, initializer=value, use_resource=True)
            placeholders[name] = v1.placeholder(tf.float32, value.shape)
        update_op = build_update(
            config,
            list(placeholders.values()),
            list(variables.values()),
            tf.constant(rate),
            global_step,
        )
        session.run(v1.global_variables_initializer())
        for step in range(STEPS):
            gradients = gradients_at(step, session.run(variables))
            session.run(update_op, {placeholders[n]: g for n, g in gradients.items()})
        assert session.run(global_step) == STEPS
        return session.run(variables)


def keras(optimizer: Any, change: Callable[..., Any] | None = None) -> dict[str, Any]:
    """The same with a Keras optimizer; change(gradients, weights) comes first."""
    variables = {n: tf.Variable(v, name=n) for n, v in START.items()}
    for step in range(STEPS):
        weights = {n: v.numpy() for n, v in variables.items()}
        gradients = gradients_at(step, weights)
        if change is not None:
            gradients = change(gradients, weights)
        pairs = [(tf.constant(gradients[n]), variables[n]) for n in variables]
        optimizer.apply_gradients(pairs)
    return {n: v.numpy() for n, v in variables.items()}


def numpy_rule(rule: Callable[..., Any]) -> dict[str, Any]:
    """The same with rule(step, gradient, weight, state) -> new weight, in float64."""
    weights = {n: v.astype(np.float64) for n, v in START.items()}
    states: dict[str, dict[str, Any]] = {n: {} for n in START}
    for step in range(STEPS):
        gradients = gradients_at(step, {n: w.astype(np.float32) for n, w in weights.items()})
        for name in weights:
            gradient = gradients[name].astype(np.float64)
            weights[name] = rule(step, gradient, weights[name], states[name])
    return weights


def assert_close(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        assert np.abs(found[name] - START[name]).max() > 1e-3, f"{name} did not move"
        np.testing.assert_allclose(found[name], value, rtol=2e-4, atol=2e-5, err_msg=name)


KERAS = {
    "sgd": ({}, lambda: tf_keras.optimizers.SGD(0.05)),
    "momentum": ({}, lambda: tf_keras.optimizers.SGD(0.05, momentum=0.9)),
    "nesterov": (
        {"momentum": 0.8},
        lambda: tf_keras.optimizers.SGD(0.05, momentum=0.8, nesterov=True),
    ),
    "adagrad": (
        {},
        lambda: tf_keras.optimizers.Adagrad(0.05, initial_accumulator_value=0.1, epsilon=0),
    ),
    "adam": (
        {"beta1": 0.8, "beta2": 0.95},
        lambda: tf_keras.optimizers.Adam(0.05, 0.8, 0.95, 1e-8),
    ),
    "adamw": ({}, lambda: tf_keras.optimizers.AdamW(0.05, weight_decay=0.0, epsilon=1e-8)),
}


@pytest.mark.parametrize("name", KERAS)
def test_trajectory_is_keras_s(name: str) -> None:
    options, reference = KERAS[name]
    assert_close(ours(optimizer=name, **options), keras(reference()))


def test_adamw_decays_kernels_and_not_biases() -> None:
    reference = tf_keras.optimizers.AdamW(0.05, weight_decay=0.3, epsilon=1e-8)
    reference.exclude_from_weight_decay(var_names=["bias"])
    assert_close(ours(optimizer="adamw", weight_decay=0.3), keras(reference))


def test_decoupled_decay_of_sgd() -> None:
    def rule(_step: int, g: Any, w: Any, _state: Any) -> Any:
        return w - 0.05 * (0.3 * w if w.ndim > 1 else 0) - 0.05 * g

    options = {"optimizer": "sgd", "weight_decay": 0.3, "weight_decay_mode": "decoupled"}
    assert_close(ours(**options), numpy_rule(rule))


def test_coupled_decay_enters_the_gradient() -> None:
    def change(gradients: Any, weights: Any) -> Any:
        return {n: g + (0.3 * weights[n] if g.ndim > 1 else 0) for n, g in gradients.items()}

    found = ours(optimizer="adam", weight_decay=0.3)
    assert_close(found, keras(tf_keras.optimizers.Adam(0.05, epsilon=1e-8), change))


def test_rmsprop_by_its_formula() -> None:
    def rule(_step: int, g: Any, w: Any, state: Any) -> Any:
        a = state["a"] = 0.8 * state.get("a", np.ones_like(w)) + 0.2 * g**2
        m = state["m"] = 0.5 * state.get("m", 0) + 0.05 * g / np.sqrt(a + 1e-10)
        return w - m

    assert_close(ours(optimizer="rmsprop", rho=0.8, momentum=0.5), numpy_rule(rule))


def orthogonal_by_svd(matrix: Any) -> Any:
    """What the Newton-Schulz steps do to the singular values, applied to these."""
    a, b, c = COEFFICIENTS
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    s = s / (np.sqrt((s**2).sum()) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        s = a * s + b * s**3 + c * s**5
    return u * s @ v


@pytest.mark.parametrize("shape", [(5, 18), (18, 5), (6, 6)])
def test_newton_schulz_acts_on_singular_values(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    found = orthogonalize(tf.constant(matrix)).numpy()
    np.testing.assert_allclose(found, orthogonal_by_svd(matrix), atol=2e-5)
    assert np.linalg.svd(found)[1].max() < 1.3


def test_muon_on_convolutions_nesterov_on_the_rest() -> None:
    def rule(_step: int, g: Any, w: Any, state: Any) -> Any:
        decay = 0.6 if w.ndim == 4 else 0.85
        m = state["m"] = decay * state.get("m", 0) + g
        update = g + decay * m
        if w.ndim < 4:
            return w - 0.05 * update
        filters = np.moveaxis(w, -1, 0).reshape(w.shape[-1], -1)  # [out, ...], as PyTorch has it
        filters = filters * np.sqrt(len(filters)) / np.linalg.norm(filters)
        filters = filters - 0.05 * orthogonal_by_svd(np.moveaxis(update, -1, 0).reshape(5, -1))
        return np.moveaxis(filters.reshape(5, 3, 3, 2), 0, -1)

    assert_close(ours(optimizer="muon"), numpy_rule(rule))


def test_groups_change_rate_and_decay() -> None:
    def rule(_step: int, g: Any, w: Any, _state: Any) -> Any:
        factor, decay = {1: (4.0, 0.05), 2: (1.0, 0.1), 4: (0.5, 0.1)}[w.ndim]
        return w - 0.05 * factor * (g + decay * w)

    groups = {"bias": {"rate": 4, "weight_decay": 0.5}, "^conv/": 0.5}
    found = ours(optimizer="sgd", weight_decay=0.1, parameter_groups=groups)
    assert_close(found, numpy_rule(rule))


def test_groups_of_adam_each_have_their_own_rate() -> None:
    """Adam does not care for the gradient's scale, so this is no change of that."""
    plain, grouped = ours(optimizer="adam"), ours(optimizer="adam", parameter_groups={"bias": 0.1})
    assert_close({"conv/kernel": grouped["conv/kernel"]}, {"conv/kernel": plain["conv/kernel"]})
    assert_close(
        {"dense/bias": grouped["dense/bias"]},
        {"dense/bias": ours(rate=0.005, optimizer="adam")["dense/bias"]},
    )


def test_rate_0_freezes() -> None:
    found = ours(optimizer="adamw", weight_decay=0.1, parameter_groups={"dense/kernel": 0})
    np.testing.assert_array_equal(found["dense/kernel"], START["dense/kernel"])
    assert (found["dense/bias"] != START["dense/bias"]).all()


@pytest.mark.parametrize("mode", ["coupled", "decoupled"])
def test_a_group_may_train_in_its_first_steps_only(mode: str) -> None:
    def rule(step: int, g: Any, w: Any, _state: Any) -> Any:
        rate = 0.05 if w.ndim > 1 or step < 7 else 0
        return w - rate * (g + 0.1 * w)

    groups = {"bias": {"weight_decay": 1, "steps": 7}}
    options = {"weight_decay": 0.1, "weight_decay_mode": mode, "parameter_groups": groups}
    assert_close(ours(optimizer="sgd", **options), numpy_rule(rule))


def test_clipping_is_by_the_norm_of_all_gradients_together() -> None:
    def change(gradients: Any, _weights: Any) -> Any:
        norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients.values()))
        return {n: (g * min(1, 6 / norm)).astype(np.float32) for n, g in gradients.items()}

    found = ours(optimizer="momentum", clip_norm=6)
    assert_close(found, keras(tf_keras.optimizers.SGD(0.05, momentum=0.9), change))


def test_a_pattern_that_fits_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"biass is found in no variable's name; these are conv/k"):
        ours(parameter_groups={"biass": 2})
