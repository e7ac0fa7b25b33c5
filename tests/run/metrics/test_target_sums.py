"""The figures of labels and of real values agree with scikit-learn."""

import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from cnnlab.base.errors import NonFiniteError
from cnnlab.run.metrics.per_class import averages, per_label_figures
from cnnlab.run.metrics.scores import areas_under_curves
from cnnlab.run.metrics.shown import in_words, logged
from cnnlab.run.metrics.target_sums import LabelSums, ValueSums, sums_of

RNG = np.random.default_rng(2)
LOGITS = RNG.normal(size=(50, 4)).astype(np.float32)
LABELS = (RNG.random((50, 4)) < [0.5, 0.2, 0.9, 0.4]).astype(np.float32)
LOSSES = RNG.random(50).astype(np.float32)


def added(sums: Any, outputs: Any, labels: Any) -> Any:
    for part in (slice(0, 7), slice(7, 30), slice(30, 50)):
        sums.add(outputs[part], labels[part], LOSSES[part])
    return sums


def test_labels() -> None:
    sums = added(sums_of("labels", 4), LOGITS, LABELS)
    predicted = LOGITS >= 0
    found = sums.result()
    assert found["accuracy"] == pytest.approx(1 - metrics.hamming_loss(LABELS, predicted))
    assert found["exact_match"] == pytest.approx(metrics.accuracy_score(LABELS, predicted))
    assert found["loss"] == pytest.approx(LOSSES.mean(), rel=1e-6)
    assert found["n"] == 50
    probabilities = 1 / (1 + np.exp(-LOGITS))
    areas = areas_under_curves(probabilities, LABELS)
    rows = per_label_figures(sums.counts, "abcd")
    theirs = metrics.precision_recall_fscore_support(LABELS, predicted, zero_division=0)
    for name, column in zip(("precision", "recall", "f1", "support"), theirs, strict=True):
        assert [row[name] for row in rows] == pytest.approx(column.tolist())
    aucs = metrics.roc_auc_score(LABELS, probabilities, average=None)
    assert [row["roc_auc"] for row in areas] == pytest.approx(aucs.tolist())
    precisions = metrics.average_precision_score(LABELS, probabilities, average=None)
    assert [row["pr_auc"] for row in areas] == pytest.approx(precisions.tolist())
    both = [{**row, **area} for row, area in zip(rows, areas, strict=True)]
    macro, weighted = averages(both, sums.counts)
    for average, mine in (("macro", macro), ("weighted", weighted)):
        f1 = metrics.f1_score(LABELS, predicted, average=average)
        assert mine["f1"] == pytest.approx(f1)


@pytest.mark.parametrize("offset", [0, 1e4])
def test_values(offset: float) -> None:
    labels, predicted = LOGITS + np.float32(offset), LABELS + np.float32(offset)
    sums = added(sums_of("values", 4), predicted, labels)
    found = sums.result()
    theirs = {
        "mse": metrics.mean_squared_error(labels, predicted),
        "mae": metrics.mean_absolute_error(labels, predicted),
        "r2": metrics.r2_score(labels.astype(np.float64), predicted),
    }
    assert {name: found[name] for name in theirs} == pytest.approx(theirs, rel=1e-6)
    rows = sums.of_each()
    each = metrics.r2_score(labels.astype(np.float64), predicted, multioutput="raw_values")
    assert [row["r2"] for row in rows] == pytest.approx(each.tolist(), rel=1e-6)


def test_equal_labels_have_no_r2() -> None:
    sums = sums_of("values", 1)
    assert isinstance(sums, ValueSums)
    sums.add(LOGITS[:, :1], np.ones((50, 1), np.float32), LOSSES)
    assert sums.result()["r2"] is None
    assert "r2" not in logged(sums.result())
    assert in_words(sums.result()).startswith("mse ")


def test_no_image() -> None:
    for kind in ("labels", "values"):
        assert math.isnan(sums_of(kind, 2).result()["loss"])  # type: ignore[arg-type]
    assert isinstance(sums_of("labels", 2), LabelSums)


@pytest.mark.parametrize("kind", ["labels", "values"])
def test_outputs_that_are_not_finite_are_refused(kind: Any) -> None:
    with pytest.raises(NonFiniteError):
        sums_of(kind, 4).add(LOGITS * np.nan, LABELS, LOSSES)


def test_what_is_logged_and_shown() -> None:
    classes = {"accuracy": 0.5, "loss": 0.25, "top5_accuracy": 1.0, "n": 8}
    assert logged(classes) == {"loss": 0.25, "accuracy": 0.5}
    assert in_words(classes) == "accuracy 0.5000, loss 0.2500"
