"""The order of mistakes: of images, and of pairs of classes."""

import numpy as np

from cnnlab.run.metrics.mistakes import most_confused, worst_mistakes

PROBABILITIES = np.array(
    [
        [0.9, 0.1, 0.0],  # right
        [0.1, 0.8, 0.1],  # wrong
        [0.4, 0.3, 0.3],  # right
        [0.0, 0.35, 0.65],  # wrong, with a higher probability for the truth than the others
        [0.5, 0.5, 0.0],  # right: of equal classes, the first is predicted
        [0.1, 0.7, 0.2],  # wrong, as probable as the second, but the prediction is less probable
        [0.02, 0.49, 0.49],  # wrong, with the lowest probability for the truth
    ],
    np.float32,
)
LABELS = np.array([0, 2, 0, 1, 0, 0, 0])
PREDICTED = PROBABILITIES.argmax(axis=1)


def test_the_lowest_probability_for_the_truth_comes_first() -> None:
    found = worst_mistakes(PROBABILITIES, PREDICTED, LABELS, 9)
    assert found.tolist() == [6, 1, 5, 3]
    assert found.dtype == np.int64
    losses = -np.log(PROBABILITIES[found, LABELS[found]])
    assert (np.diff(losses) <= 0).all()


def test_the_limit_and_no_mistakes() -> None:
    assert worst_mistakes(PROBABILITIES, PREDICTED, LABELS, 2).tolist() == [6, 1]
    assert worst_mistakes(PROBABILITIES, PREDICTED, PREDICTED, 9).tolist() == []
    assert worst_mistakes(PROBABILITIES[:0], PREDICTED[:0], LABELS[:0], 9).tolist() == []


def test_of_equal_probabilities_the_logits_decide() -> None:
    predicted = PREDICTED.copy()
    predicted[4] = 1  # the logit of the second class was greater
    assert worst_mistakes(PROBABILITIES, predicted, LABELS, 9).tolist() == [6, 1, 5, 3, 4]


def test_most_confused() -> None:
    confusion = np.array([[5, 2, 3], [0, 9, 0], [2, 0, 0]])
    found = [tuple(pair.values()) for pair in most_confused(confusion, ("a", "b", "c"))]
    assert found == [("a", "c", 3, 0.3), ("a", "b", 2, 0.2), ("c", "a", 2, 1.0)]
    assert confusion[0, 0] == 5  # unchanged
    assert most_confused(np.eye(3, dtype=np.int64), ("a", "b", "c")) == []
    assert len(most_confused(np.ones((7, 7), np.int64), tuple("abcdefg"))) == 10
