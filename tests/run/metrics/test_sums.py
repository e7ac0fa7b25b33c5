"""Accuracy, loss and confusion matrix agree with scikit-learn."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from cnnlab.base.errors import CnnlabError
from cnnlab.run.metrics.sums import EvaluationSums, first_choice, rank_of_label

CLASSES = 7


def sample(n: int, seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Return logits, all different, whose predictions are sometimes right; and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n, np.int32)
    logits = rng.normal(size=(n, CLASSES)).astype(np.float32)
    logits[np.arange(n), labels] += 1
    return logits, labels


def cross_entropy(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    exact = logits.astype(np.float64)
    return exact - np.log(np.exp(exact).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("batch_size", [1, 64, 300])
def test_against_scikit_learn_over_batches(batch_size: int) -> None:
    logits, labels = sample(300)
    log_probabilities = cross_entropy(logits)
    losses = -log_probabilities[np.arange(300), labels].astype(np.float32)
    sums = EvaluationSums(CLASSES)
    for start in range(0, 300, batch_size):
        part = slice(start, start + batch_size)
        sums.add(logits[part], labels[part], losses[part])
    result = sums.result()
    every = np.arange(CLASSES)
    assert result["n"] == 300
    assert result["accuracy"] == metrics.accuracy_score(labels, logits.argmax(1))
    assert result["top5_accuracy"] == metrics.top_k_accuracy_score(
        labels, logits, k=5, labels=every
    )
    for k in (1, 2, 6):
        assert sums.top_k_accuracy(k) == metrics.top_k_accuracy_score(
            labels, logits, k=k, labels=every
        )
    assert sums.top_k_accuracy(7) == sums.top_k_accuracy(99) == 1
    expected = metrics.log_loss(labels, np.exp(log_probabilities), labels=every)
    assert result["loss"] == pytest.approx(expected, rel=1e-6)
    assert (
        sums.confusion == metrics.confusion_matrix(labels, logits.argmax(1), labels=every)
    ).all()


@given(
    scores=st.lists(st.integers(0, 3), min_size=1, max_size=9),
    label=st.integers(0, 8),
)
def test_rank_and_first_choice_are_those_of_a_stable_sort(scores: list[int], label: int) -> None:
    label %= len(scores)
    logits = np.array([scores], np.float32)
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    assert first_choice(logits.T)[0] == order[0]
    assert rank_of_label(logits.T, np.array([label]))[0] == order.index(label)


def test_equal_logits_do_not_all_count_as_right() -> None:
    """A network with equal logits is right for the first class only."""
    sums = EvaluationSums(10)
    sums.add(np.zeros((10, 10), np.float32), np.arange(10), np.zeros(10, np.float32))
    assert sums.result()["accuracy"] == 0.1
    assert sums.result()["top5_accuracy"] == 0.5


def test_fewer_classes_than_five() -> None:
    sums = EvaluationSums(2)
    sums.add(np.eye(2, dtype=np.float32), np.array([1, 0]), np.ones(2, np.float32))
    assert sums.result() == {"accuracy": 0, "loss": 1, "top5_accuracy": 1, "n": 2}


def test_no_images() -> None:
    result = EvaluationSums(3).result()
    assert result["n"] == 0
    assert all(math.isnan(result[name]) for name in ("accuracy", "loss", "top5_accuracy"))


def test_cross_entropy_where_no_losses_are_given() -> None:
    logits, labels = sample(300)
    logits *= np.float32(20)  # for losses from 0 to 100
    sums = EvaluationSums(CLASSES)
    sums.add(logits, labels)
    expected = -cross_entropy(logits)[np.arange(300), labels].mean()
    assert sums.result()["loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("logits", "label", "expected"),
    [
        ([1e4, 1e4 - 1, 0], 1, 1.3132616),  # only the differences matter
        ([-80, 0, 0], 0, 80 + math.log(2)),  # the probability rounds to 0
        ([3e38, -3e38, 0], 0, 0),
        ([3e38, -3e38, 0], 1, math.inf),
    ],
)
def test_cross_entropy_of_logits_far_apart(
    logits: list[float], label: int, expected: float
) -> None:
    sums = EvaluationSums(3)
    sums.add(np.array([logits], np.float32), np.array([label]))
    assert sums.result()["loss"] == pytest.approx(expected, rel=1e-6)


def test_losses_are_summed_in_double_precision() -> None:
    """In float32, 2**24 + 1 is 2**24."""
    sums = EvaluationSums(1)
    zeros = np.zeros((2, 1), np.float32), np.zeros(2, np.int64)
    sums.add(*zeros, np.array([2**24, 1], np.float32))
    sums.add(*zeros, np.array([1, 1], np.float32))
    assert sums.loss_sum == 2**24 + 3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(value: float) -> None:
    logits, labels = sample(3)
    logits[1, 2] = value
    with pytest.raises(CnnlabError, match="logits are not finite"):
        EvaluationSums(CLASSES).add(logits, labels, np.zeros(3, np.float32))


@pytest.mark.parametrize("label_type", [np.int8, np.uint8, np.int32, np.int64])
def test_labels_of_any_integer_type(label_type: type) -> None:
    """There are more classes than the smallest type has values; of equal logits the first wins."""
    sums = EvaluationSums(300)
    sums.add(np.zeros((1, 300), np.float32), np.array([99], label_type), np.zeros(1, np.float32))
    assert np.flatnonzero(sums.label_ranks).tolist() == [99]
