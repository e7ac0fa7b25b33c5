"""The figures of a confusion matrix agree with scikit-learn."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from cnnlab.run.metrics.per_class import (
    FIGURES,
    averages,
    counts_against_others,
    per_class_figures,
)

NAMES = tuple("abcdefg")


def rows_of(confusion: Any) -> list[dict[str, Any]]:
    """Return the rows, with the two figures that a confusion matrix does not have."""
    names = NAMES[: len(confusion)]
    return [{**row, "roc_auc": 0.5, "pr_auc": None} for row in per_class_figures(confusion, names)]


@st.composite
def predictions(draw: st.DrawFn) -> tuple[int, list[int], list[int]]:
    """Draw (classes, truth, predicted).

    A class may be absent, never predicted, or the only one.
    """
    classes = draw(st.integers(1, 7))
    label = st.integers(0, draw(st.integers(0, classes - 1)))
    pairs = draw(st.lists(st.tuples(label, label), min_size=1, max_size=40))
    truth, predicted = zip(*pairs, strict=True)
    return classes, list(truth), list(predicted)


@settings(deadline=None, max_examples=60)
@given(predictions())
def test_each_class_and_the_means(case: tuple[int, list[int], list[int]]) -> None:
    classes, truth, predicted = case
    every = range(classes)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    rows = rows_of(confusion)
    columns = {"precision": 0, "recall": 1, "f1": 2}
    theirs = metrics.precision_recall_fscore_support(
        truth, predicted, labels=every, zero_division=0
    )
    assert [row["support"] for row in rows] == theirs[3].tolist()
    macro, weighted = averages(rows, counts_against_others(confusion))
    for average, mine in (("macro", macro), ("weighted", weighted)):
        mean = metrics.precision_recall_fscore_support(
            truth, predicted, average=average, zero_division=0
        )
        assert set(mine) == set(FIGURES)
        for name, column in columns.items():
            assert [row[name] for row in rows] == pytest.approx(list(theirs[column]), abs=1e-12)
            assert mine[name] == pytest.approx(mean[column], abs=1e-12)
        assert mine["roc_auc"] == pytest.approx(0.5)
        assert mine["pr_auc"] is None
    by_class = metrics.multilabel_confusion_matrix(truth, predicted, labels=every)
    for row, ((tn, fp), (fn, tp)) in zip(rows, by_class, strict=True):
        assert row["tpr"] == (tp / (tp + fn) if tp + fn else 0)
        assert row["tnr"] == (tn / (tn + fp) if tn + fp else 0)
        assert row["fpr"] == (fp / (tn + fp) if tn + fp else 0)
        assert row["fnr"] == (fn / (tp + fn) if tp + fn else 0)


def test_an_absent_class_has_zeros() -> None:
    row = per_class_figures(np.array([[0, 0], [0, 5]]), ("absent", "all"))[0]
    assert (row["support"], row["precision"], row["recall"], row["f1"], row["fnr"]) == (0,) * 5
    assert row["tnr"] == 1


def test_a_mean_ignores_classes_without_the_figure() -> None:
    confusion = np.array([[1, 0, 0], [0, 3, 0], [0, 0, 0]])
    rows = rows_of(confusion)
    for row, value in zip(rows, (0.2, 1.0, None), strict=True):
        row["pr_auc"] = value
    macro, weighted = averages(rows, counts_against_others(confusion))
    assert macro["pr_auc"] == pytest.approx(0.6)
    assert weighted["pr_auc"] == pytest.approx(0.8)
