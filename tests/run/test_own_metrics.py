"""The user's own metrics, in training and in evaluation."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import tf
from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.evaluate import evaluate
from tests import small_run
from tests.run.test_own_options import FILE, make

pytestmark = pytest.mark.usefixtures("in_folder_of_its_own")


def positives(labels: Any, logits: Any) -> Any:
    """Return F1 of class 1, which is no mean over images."""
    truth, guess = tf.equal(labels, 1), tf.equal(tf.argmax(logits, 1), 1)
    both = tf.reduce_sum(tf.cast(truth & guess, tf.float64))
    either = tf.reduce_sum(tf.cast(truth, tf.float64)) + tf.reduce_sum(tf.cast(guess, tf.float64))
    return tf.math.divide_no_nan(2 * both, either)


def margin(labels: Any, logits: Any) -> Any:
    picked = tf.reduce_sum(logits * tf.one_hot(labels, 4), axis=1)
    return picked - tf.reduce_max(logits, axis=1)


@pytest.mark.parametrize("tta", ["none", "mirror"])
def test_metrics_are_of_the_whole_split_each_image_once(tta: str) -> None:
    """The split has 7 images, in batches of 3; NumPy computes the figures from the logits."""
    metrics = {"f1": positives, "margin": margin, "count": lambda y, z: tf.shape(z)[0]}
    with make("run", metrics=metrics, eval_batch_size=3, tta=tta, steps=3) as train:
        result = train.train()
        seen: list[Any] = []
        found = train.evaluate("test", on_batch=lambda logits, _: seen.append(logits))
    logits, labels = np.concatenate(seen), small_run.arrays()[1][1]
    guess = logits.argmax(axis=1)
    both = ((guess == 1) & (labels == 1)).sum()
    f1 = 2 * both / ((guess == 1).sum() + (labels == 1).sum())
    margins = logits[np.arange(7), labels] - logits.max(axis=1)
    assert found["f1"] == pytest.approx(f1)
    assert found["margin"] == pytest.approx(margins.mean(), rel=1e-5)
    assert found["count"] == 7
    assert all(result[name] == found[name] for name in metrics)
    assert json.loads(Path("run/result.json").read_text())["f1"] == found["f1"]


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (lambda y, z: tf.reduce_sum(z) * float("nan"), "returned nan; a metric must be"),
        (lambda y, z: tf.boolean_mask(z[:, 0], tf.equal(y, 0)), "returned 2 figures for 7 images"),
    ],
    ids=["nan", "fewer"],
)
def test_metrics_that_cannot_be_recorded(metric: Any, message: str) -> None:
    with (
        make("run", metrics={"x": metric}) as train,
        pytest.raises(CnnlabError, match=rf"test_own_metrics\.py:\d+ .*{message}"),
    ):
        train.evaluate("test") if train.session else None


@pytest.mark.slow
def test_evaluation_with_another_loss_and_other_metrics() -> None:
    Path("my.py").write_text(FILE)
    options = {"loss": lambda y, z: -margin(y, z), "metrics": {"f1": positives}}
    with make("run", steps=3, **options) as train:
        result = train.train()
    test = small_run.arrays()[1]
    with pytest.raises(UsageError, match=r"loss=.*cannot be loaded from a file"):
        evaluate("run", data=test)
    found = evaluate("run", data=test, loss=options["loss"], metrics={"two": "my.py:top2"})
    assert found["loss"] == pytest.approx(result["loss"])
    assert 0 <= found["two"] <= 1
    assert "f1" not in found
