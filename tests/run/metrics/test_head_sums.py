"""The figures of several heads agree with scikit-learn, head by head."""

import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from cnnlab.graph.heads import WeightedHead
from cnnlab.run.metrics.shown import in_words, logged
from cnnlab.run.metrics.target_sums import sums_of
from cnnlab.run.ranking import ranked

HEADS = (WeightedHead("colour", slice(0, 3), 1.0), WeightedHead("size", slice(3, 5), 0.25))
RNG = np.random.default_rng(4)
LOGITS = RNG.normal(size=(40, 5)).astype(np.float32)
CLASSES = {"colour": RNG.integers(0, 3, 40), "size": RNG.integers(0, 2, 40)}
LABELS = np.concatenate([np.eye(3)[CLASSES["colour"]], np.eye(2)[CLASSES["size"]]], axis=1)


def added(losses: Any = None) -> dict[str, Any]:
    sums = sums_of("heads", 5, HEADS)
    for part in (slice(0, 11), slice(11, 40)):
        given = None if losses is None else losses[part]
        sums.add(LOGITS[part], LABELS[part].astype(np.float32), given)
    return sums.result()


def test_figures() -> None:
    found = added()
    is_right = []
    for head in HEADS:
        own, truth = LOGITS[:, head.columns].astype(np.float64), CLASSES[head.name]
        shares = np.exp(own) / np.exp(own).sum(axis=1, keepdims=True)
        figures = found["heads"][head.name]
        assert figures["accuracy"] == metrics.accuracy_score(truth, own.argmax(axis=1))
        assert figures["loss"] == pytest.approx(metrics.log_loss(truth, shares), rel=1e-6)
        is_right.append(own.argmax(axis=1) == truth)
    both = found["heads"]["colour"], found["heads"]["size"]
    assert found["accuracy"] == pytest.approx((both[0]["accuracy"] + both[1]["accuracy"]) / 2)
    assert found["exact_match"] == np.logical_and(*is_right).mean()
    assert found["loss"] == pytest.approx(both[0]["loss"] + 0.25 * both[1]["loss"])
    assert found["n"] == 40
    assert added(np.full(40, 2, np.float32))["loss"] == 2  # those of the user's own loss


def test_no_images_have_no_figures() -> None:
    found = sums_of("heads", 5, HEADS).result()
    assert math.isnan(found["accuracy"])
    assert math.isnan(found["exact_match"])


def test_what_is_logged_and_shown() -> None:
    of_heads = {"colour": {"accuracy": 0.75, "loss": 0.5}, "size": {"accuracy": 1.0, "loss": 0.1}}
    figures = {"accuracy": 0.875, "exact_match": 0.75, "loss": 0.6, "n": 4, "heads": of_heads}
    assert in_words(figures) == (
        "accuracy 0.8750, exact match 0.7500, loss 0.6000, colour 0.7500, size 1.0000"
    )
    expected = {"loss": 0.6, "accuracy": 0.875, "exact_match": 0.75}
    expected |= {"colour_accuracy": 0.75, "colour_loss": 0.5}
    assert logged(figures) == expected | {"size_accuracy": 1.0, "size_loss": 0.1}


def test_each_head_is_ranked_by_itself() -> None:
    shares = RNG.random((40, 5)).astype(np.float32)
    found = ranked(LOGITS, shares, HEADS)
    for head in HEADS:
        expected = np.argsort(-LOGITS[:, head.columns], axis=1)
        assert np.array_equal(found.classes[:, head.columns], expected)
        own = np.take_along_axis(shares[:, head.columns], expected, axis=1)
        assert np.array_equal(found.probabilities[:, head.columns], own)
