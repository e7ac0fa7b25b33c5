"""Thresholds of labels: their forms, and the best ones against a search with scikit-learn."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from cnnlab.base.errors import UsageError
from cnnlab.data.specs import DatasetSpec
from cnnlab.run.metrics.target_sums import LabelSums
from cnnlab.run.metrics.thresholds import best_thresholds, thresholds_of

SPEC = DatasetSpec("small", (2, 2, 1), ("sun", "rain", "wind"), 4, 4, "labels")
RNG = np.random.default_rng(4)
LABELS = (RNG.random((40, 3)) < [0.5, 0.2, 0.0]).astype(np.float32)
SCORES = np.round(RNG.random((40, 3)) * 0.7 + LABELS * 0.3, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0.3, [0.3, 0.3, 0.3]),
        ([0.1, 0.2, 1], [0.1, 0.2, 1.0]),
        ({"rain": 0.9}, [0.5, 0.9, 0.5]),
        (None, None),
    ],
)
def test_forms(given: Any, expected: list[float] | None) -> None:
    found = thresholds_of(given, SPEC)
    assert (None if found is None else found.tolist()) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0.1], "has 1 numbers for 3 labels: sun, rain, wind"),
        ({"rainy": 0.1}, "there is no label rainy; did you mean rain"),
        ({"sun": 1.5}, "1.5 of sun is no probability; use 0 to 1"),
    ],
)
def test_wrong_forms(given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        thresholds_of(given, SPEC)
    with pytest.raises(UsageError, match="is for several labels an image; the run has none"):
        thresholds_of(0.5, DatasetSpec("small", (2, 2, 1), ("a", "b"), 4, 4))


def test_the_best_thresholds_have_the_highest_f1() -> None:
    found = best_thresholds(SCORES, LABELS)
    assert found[2] == 0.5  # no image has the label
    for label in (0, 1):
        scores, truth = SCORES[:, label], LABELS[:, label]
        of = {t: metrics.f1_score(truth, scores >= t) for t in np.linspace(0, 1, 101)}
        assert metrics.f1_score(truth, scores >= found[label]) == pytest.approx(max(of.values()))


def test_sums_with_other_thresholds() -> None:
    sums = LabelSums(3)
    logits = np.log(np.clip(SCORES, 0.01, 0.99) / (1 - np.clip(SCORES, 0.01, 0.99)))
    sums.add(logits, LABELS, np.ones(40, np.float32))
    thresholds = np.array([0.3, 0.6, 1.0])
    other = sums.with_thresholds(SCORES, LABELS, thresholds)
    predicted = (SCORES - thresholds) >= 0
    theirs = metrics.multilabel_confusion_matrix(LABELS, predicted)  # [[tn, fp], [fn, tp]]
    assert other.counts.tolist() == [[m[1, 1], m[0, 1], m[1, 0], m[0, 0]] for m in theirs]
    assert other.result() == {
        "accuracy": pytest.approx(1 - metrics.hamming_loss(LABELS, predicted)),
        "exact_match": pytest.approx(metrics.accuracy_score(LABELS, predicted)),
        "loss": 1.0,
        "n": 40,
    }
