"""Single images, and the order of the least sure ones."""

import numpy as np

from cnnlab.report.examples import Example, examples_at, least_sure

PROBABILITIES = np.array(
    [
        [0.9, 0.1, 0.0],
        [0.1, 0.8, 0.1],
        [0.4, 0.3, 0.3],  # least sure of all
        [0.0, 0.05, 0.95],
        [0.5, 0.5, 0.0],
        [0.1, 0.8, 0.1],  # as sure as the second
    ],
    np.float32,
)
LABELS = np.array([0, 2, 0, 1, 0, 0])
PREDICTED = PROBABILITIES.argmax(axis=1)


def test_examples() -> None:
    found = examples_at(np.array([3, 4]), PROBABILITIES, PREDICTED, LABELS)
    expected = [Example(3, 1, 2, 0.95, 0.05, 1), Example(4, 0, 0, 0.5, 0.5, 1)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert {type(value) for example in found for value in example} == {int, float}
    assert examples_at([], PROBABILITIES, PREDICTED, LABELS) == []


def test_of_equal_probabilities_the_logits_decide() -> None:
    predicted = PREDICTED.copy()
    predicted[4] = 1
    (found,) = examples_at([4], PROBABILITIES, predicted, LABELS)
    assert (found.predicted, found.runner_up) == (1, 0)


def test_least_sure_first() -> None:
    assert least_sure(PROBABILITIES, 3).tolist() == [2, 4, 1]
    assert least_sure(PROBABILITIES, 99).tolist() == [2, 4, 1, 5, 0, 3]
