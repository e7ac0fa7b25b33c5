"""Functions of the user's own that cannot work are refused before the run, with their line."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnnlab import tf
from cnnlab.base.errors import CnnlabError
from cnnlab.config.config import Config
from cnnlab.data.specs import DATASETS
from cnnlab.graph.own_trials import try_own_functions
from cnnlab.graph.parts import Parts

SPEC = DATASETS["mnist"]
PLACE = r"test_own_trials\.py:\d+"


def no_model() -> None:
    """Stand for the model, which is not tried."""


def attempt(config: Config | None = None, **functions: Any) -> None:
    try_own_functions(Parts(no_model, **functions), config or Config(), SPEC)


def crossed(labels: Any, logits: Any) -> Any:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


GOOD: dict[str, Any] = {
    "loss": crossed,
    "optimizer": tf.train.AdagradOptimizer,
    "schedule": lambda step: tf.train.exponential_decay(0.1, step, 10, 0.5),
    "metrics": {"right": lambda labels, logits: tf.nn.in_top_k(logits, labels, 1), "mean": crossed},
    "augmentations": {},
}


def test_functions_that_work() -> None:
    attempt(**GOOD)
    attempt(schedule=lambda step: 0.1)
    attempt(schedule=lambda step: tf.cast(step, tf.float64) * 1e-3)
    attempt(metrics={"scalar": lambda labels, logits: tf.reduce_mean(logits)})
    attempt(metrics={"python": lambda y, z: tf.py_func(lambda a: a.mean(), [z], tf.float32)})
    attempt(loss=lambda y, z: tf.map_fn(lambda row: tf.reduce_sum(row) ** 2, z))
    config = Config(augment=["flip", "my.py:noise"])
    noise = {1: lambda x, key: x + tf.random.stateless_normal(tf.shape(x), seed=key)}
    attempt(config, augmentations=noise)


def kept(step: Any) -> Any:
    with tf.init_scope():
        rate = tf.get_variable("rate", [], use_resource=True)
    return rate * tf.cast(step, tf.float32)


class Gradients(tf.train.GradientDescentOptimizer):  # type: ignore[misc]
    def compute_gradients(self, *args: Any, **kwargs: Any) -> Any:
        return []


BAD: dict[str, tuple[str, Callable[..., Any], str]] = {
    "scalar loss": ("loss", lambda y, z: tf.reduce_mean(crossed(y, z)), r"float32 \[\]; it must"),
    "a loss a class": ("loss", lambda y, z: tf.reduce_sum(z, axis=0), r"returned float32 \[10\];"),
    "matrix": ("loss", lambda y, z: z, r"float32 \[\?, 10\]; it must return a float32 tensor"),
    "float64": ("loss", lambda y, z: tf.cast(crossed(y, z), tf.float64), "returned float64"),
    "None": ("loss", lambda y, z: None, "returned None; it must return"),
    "NumPy": ("loss", lambda y, z: np.zeros(3), "an object of type numpy ndarray"),
    "constant": ("loss", lambda y, z: tf.cast(y, tf.float32), "have no gradient"),
    "argmax": (
        "loss",
        lambda y, z: tf.cast(tf.not_equal(tf.argmax(z, 1), y), tf.float32),
        "nothing would be learned",
    ),
    "random loss": (
        "loss",
        lambda y, z: crossed(y, z) * tf.random_uniform(tf.shape(y)),
        "RandomUniform.*stateless",
    ),
    "random in a loop": (
        "loss",
        lambda y, z: tf.map_fn(lambda row: tf.reduce_sum(row) * tf.random_uniform([]), z),
        "RandomUniform",
    ),
    "failing loss": ("loss", lambda y, z: tf.matmul(z, z, transpose_a=y), "in <lambda>"),
    "Keras's optimizer": (
        "optimizer",
        lambda rate: tf.keras.optimizers.Adam(0.1),
        "an object of type keras Adam; it must return a tf.train.Optimizer",
    ),
    "no optimizer": ("optimizer", lambda rate: rate, r"returned float32 \[\]"),
    "other gradients": ("optimizer", Gradients, "compute_gradients differs"),
    "rate of a vector": ("schedule", lambda s: tf.fill([2], 0.1), r"float32 \[2\]; it must"),
    "rate of int": ("schedule", lambda s: s, r"returned int64 \[\]; it must return a number"),
    "rate NaN": (
        "schedule",
        lambda s: tf.log(-1.0 - tf.cast(s, tf.float32)),
        "of step 0: .*not finite",
    ),
    "negative": ("schedule", lambda s: -0.1 * tf.cast(s, tf.float32), "rate -0.1 for step 1"),
    "random rate": ("schedule", lambda s: tf.random_uniform([]), "from the step alone"),
    "rate of a variable": ("schedule", kept, "from the step alone"),
    "tf.metrics": (
        "metrics",
        lambda y, z: tf.metrics.accuracy(y, tf.argmax(z, 1)),
        "an object of type tuple; it must return a tensor",
    ),
    "metric a class": ("metrics", lambda y, z: tf.reduce_sum(z, axis=0), r"float32 \[10\]"),
    "metric of text": ("metrics", lambda y, z: tf.as_string(y), "returned string"),
    "smaller": ("augmentations", lambda x, key: x[:, 1:], r"float32 \[\?, 27, 28, 1\]; it must"),
    "integers": ("augmentations", lambda x, key: tf.cast(x, tf.uint8), "returned uint8"),
    "random": (
        "augmentations",
        lambda x, key: x + tf.random_normal(tf.shape(x), seed=3),
        "RandomStandardNormal.*seed=key",
    ),
    "py_func": (
        "augmentations",
        lambda x, key: tf.ensure_shape(tf.py_func(np.flip, [x], tf.float32), x.shape),
        "PyFunc",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_work_is_refused(case: str) -> None:
    kind, function, message = BAD[case]
    config, given = Config(), function
    if kind == "metrics":
        given = {"figure": function}  # type: ignore[assignment]
    if kind == "augmentations":
        given = {0: function}  # type: ignore[assignment]
        config = Config(augment=["my.py:change"])
    with pytest.raises(CnnlabError, match=message) as raised:
        attempt(config, **{kind: given})
    text = str(raised.value)
    assert "\n" not in text
    assert kind == "optimizer" or re.search(PLACE, text)


def test_random_numbers_may_be_accepted() -> None:
    _, function, _ = BAD["random loss"]
    attempt(Config(allow_stateful_random=True), loss=function)


def test_the_loss_gets_targets_where_labels_are_mixed() -> None:
    seen = []

    def loss(labels: Any, logits: Any) -> Any:
        seen.append((labels.dtype.name, labels.shape.as_list()))
        return tf.reduce_sum(logits, axis=1)

    attempt(loss=loss)
    attempt(Config(augment=["mixup"]), loss=loss)
    assert seen == [("int64", [None]), ("float32", [None, 10])]
