"""The figures agree with scikit-learn, SciPy and a loop written after the paper."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from cnnlab.run.metrics.scores import (
    Outputs,
    accuracy_interval,
    areas_under_curves,
    expected_calibration_error,
)


@st.composite
def scored(draw: st.DrawFn) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
    """Draw probabilities and labels: with or without ties, absent classes, one class, perfect."""
    classes, n = draw(st.integers(1, 6)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    labels = rng.integers(0, draw(st.integers(1, classes)), n)
    scores = rng.random((n, classes))
    kind = draw(st.sampled_from(["all different", "ties", "all equal", "perfect"]))
    if kind == "ties":
        scores = np.ceil(scores * 3)
    elif kind == "all equal":
        scores[:] = 1
    elif kind == "perfect":
        scores[np.arange(n), labels] += 100
    return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32), labels


@settings(deadline=None, max_examples=60)
@given(scored())
def test_areas_under_curves(case: tuple[Any, Any]) -> None:
    probabilities, labels = case
    areas = areas_under_curves(probabilities, labels)
    for label, area in enumerate(areas):
        is_positive = labels == label
        scores = probabilities[:, label]
        if not is_positive.any():
            assert area == {"roc_auc": None, "pr_auc": None}
            continue
        expected = metrics.average_precision_score(is_positive, scores)
        assert area["pr_auc"] == pytest.approx(expected, abs=1e-9)
        if is_positive.all():
            assert area["roc_auc"] is None
        else:
            expected = metrics.roc_auc_score(is_positive, scores)
            assert area["roc_auc"] == pytest.approx(expected, abs=1e-9)


def test_the_mean_area_of_many_classes() -> None:
    """It equals scikit-learn's one-against-rest mean."""
    rng = np.random.default_rng(4)
    probabilities = rng.dirichlet(np.ones(5), 300).astype(np.float32)
    labels = np.arange(300) % 5
    found = np.mean([area["roc_auc"] for area in areas_under_curves(probabilities, labels)])
    assert found == pytest.approx(
        metrics.roc_auc_score(labels, probabilities, multi_class="ovr"), abs=1e-9
    )


@settings(deadline=None, max_examples=60)
@given(scored())
def test_calibration_error(case: tuple[Any, Any]) -> None:
    probabilities, labels = case
    confidences = probabilities.max(axis=1)
    is_correct = probabilities.argmax(axis=1) == labels
    error = 0.0
    for i in range(15):
        inside = (confidences.astype(float) > i / 15) & (confidences.astype(float) <= (i + 1) / 15)
        if inside.any():
            gap = is_correct[inside].mean() - confidences[inside].astype(float).mean()
            error += inside.sum() / len(labels) * abs(gap)
    assert expected_calibration_error(confidences, is_correct) == pytest.approx(error, abs=1e-9)


def test_calibration_of_extreme_probabilities() -> None:
    """A probability that rounding has raised above 1 is in the last bin, and 0 in the first."""
    confidences = np.array([1.0000001, 1, 0, 0], np.float32)
    right = np.array([True, True, False, False])
    assert expected_calibration_error(confidences, right) == pytest.approx(0, abs=1e-6)
    assert expected_calibration_error(confidences, ~right) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("num_correct", "n"), [(880, 1000), (4, 10), (9_917, 10_000)])
def test_interval_is_the_bootstraps(num_correct: int, n: int) -> None:
    """It agrees with the exact distribution of a resample's accuracy, and with SciPy."""
    found = accuracy_interval(num_correct, n)
    assert found == accuracy_interval(num_correct, n)
    exact = stats.binom.ppf([0.025, 0.975], n, num_correct / n) / n
    spread = np.sqrt(num_correct / n * (1 - num_correct / n) / n)
    np.testing.assert_allclose([found["low"], found["high"]], exact, atol=0.1 * spread + 1e-12)
    is_correct = np.arange(n) < num_correct
    theirs = stats.bootstrap(
        (is_correct,), np.mean, n_resamples=2000, method="percentile", rng=1, batch=100
    ).confidence_interval
    np.testing.assert_allclose([found["low"], found["high"]], theirs, atol=0.2 * spread + 1e-12)
    assert found["level"] == 0.95


@pytest.mark.parametrize("num_correct", [0, 5])
def test_interval_if_all_or_no_predictions_are_right(num_correct: int) -> None:
    found = accuracy_interval(num_correct, 5)
    assert found["low"] == found["high"] == num_correct / 5


def test_outputs_by_batches() -> None:
    """The prediction uses the logits, which differ even if the probabilities are equal."""
    outputs = Outputs(3, 2)
    logits = np.array([[1, 2], [3, 1], [8, 9]], np.float32)
    probabilities = np.array([[0.3, 0.7], [0.9, 0.1], [0.5, 0.5]], np.float32)
    outputs.add(logits[:2], probabilities[:2])
    outputs.add(logits[2:], probabilities[2:])
    assert outputs.predicted.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(outputs.probabilities, probabilities)
    np.testing.assert_array_equal(outputs.confidences, np.float32([0.7, 0.9, 0.5]))
