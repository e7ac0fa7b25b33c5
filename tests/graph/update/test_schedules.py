"""Schedules as tables of values, worked out by hand from their formulas."""

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cnnlab.config.config import Config
from cnnlab.graph.update.schedules import learning_rate_at

R = 0.8
TABLES: dict[str, tuple[dict[str, Any], dict[int, float]]] = {
    "constant": ({"schedule": "constant"}, {0: 0.8, 10**9: 0.8}),
    "exponential, staircase": (
        {"decay_steps": 10, "decay_rate": 0.5},
        {0: 0.8, 9: 0.8, 10: 0.4, 19: 0.4, 20: 0.2, 30: 0.1},
    ),
    "exponential": (
        {"decay_steps": 10, "decay_rate": 0.25, "staircase": False},
        {0: 0.8, 5: 0.4, 10: 0.2, 15: 0.1},
    ),
    "polynomial": (
        {"schedule": "polynomial", "end_factor": 0.25},  # 0.8 to 0.2
        {0: 0.8, 50: 0.5, 75: 0.35, 100: 0.2, 1000: 0.2},
    ),
    "polynomial of power 3": (
        {"schedule": "polynomial", "decay_power": 3},
        {0: 0.8, 50: 0.1, 100: 0.0},
    ),
    "quadratic": ({"schedule": "quadratic"}, {0: 0.8, 50: 0.2, 75: 0.05, 100: 0.0, 120: 0.0}),
    "piecewise": (
        {"schedule": "piecewise"},
        {0: 0.8, 33: 0.8, 34: 0.08, 66: 0.08, 67: 0.008, 200: 0.008},
    ),
    "piecewise, steps": (
        {"schedule": "piecewise", "boundaries": [10, 20], "boundary_factors": [2, 0]},
        {0: 0.8, 9: 0.8, 10: 1.6, 19: 1.6, 20: 0.0},
    ),
    "cosine": (
        {"schedule": "cosine"},
        {0: 0.8, 25: 0.4 * (1 + math.sqrt(0.5)), 50: 0.4, 100: 0.0, 150: 0.0},
    ),
    "cosine with an end": (
        {"schedule": "cosine", "end_factor": 0.5},
        {0: 0.8, 50: 0.6, 100: 0.4},
    ),
    "one cycle": (
        {"schedule": "one_cycle", "end_factor": 0.1},
        {0: 0.16, 5: 0.288, 25: 0.8, 40: 0.656, 100: 0.08, 130: 0.08},
    ),
    "airbench94's": (
        {"schedule": "one_cycle", "peak_at": 0.23, "start_factor": 0.2, "end_factor": 0.07},
        {0: 0.16, 23: 0.8, 100: 0.056},
    ),
    "warm-up": (
        {"schedule": "constant", "warmup_steps": 4},
        {0: 0.2, 1: 0.4, 3: 0.8, 4: 0.8, 99: 0.8},
    ),
    "warm-up before cosine": (  # the cosine runs from 20 to 100
        {"schedule": "cosine", "warmup_steps": 20},
        {0: 0.04, 9: 0.4, 19: 0.8, 20: 0.8, 60: 0.4, 100: 0.0},
    ),
    "warm-up before a staircase": (
        {"decay_steps": 10, "decay_rate": 0.5, "warmup_steps": 5},
        {4: 0.8, 14: 0.8, 15: 0.4, 25: 0.2},
    ),
}


def rates_at(config: Config, steps: Any, total_steps: int) -> list[float]:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        step_ph = tf.compat.v1.placeholder(tf.int64, [])
        rate = learning_rate_at(config, step_ph, total_steps)
        return [float(session.run(rate, {step_ph: step})) for step in steps]


@pytest.mark.parametrize("name", TABLES)
def test_table(name: str) -> None:
    options, table = TABLES[name]
    config = Config(learning_rate=R, **options)
    np.testing.assert_allclose(
        rates_at(config, table, 100), list(table.values()), rtol=2e-6, atol=1e-7
    )


def test_thirds_are_whole_steps_of_any_length() -> None:
    """1/3 of 300 is step 100, whatever float32 makes of it."""
    config = Config(learning_rate=1.0, schedule="piecewise")
    for total in (3, 300, 30_000, 3_000_000):
        steps = [total // 3 - 1, total // 3, 2 * total // 3 - 1, 2 * total // 3]
        np.testing.assert_allclose(rates_at(config, steps, total), [1, 0.1, 0.1, 0.01], rtol=1e-6)


def test_cosine_and_polynomial_are_tensorflow_s() -> None:
    steps = range(0, 130, 7)
    for schedule, reference in {
        "cosine": tf.keras.optimizers.schedules.CosineDecay(R, 100, alpha=0.1),
        "polynomial": tf.keras.optimizers.schedules.PolynomialDecay(R, 100, R * 0.1, power=1.0),
    }.items():
        config = Config(learning_rate=R, schedule=schedule, end_factor=0.1)
        theirs = [float(reference(step)) for step in steps]
        np.testing.assert_allclose(rates_at(config, steps, 100), theirs, rtol=1e-5)
