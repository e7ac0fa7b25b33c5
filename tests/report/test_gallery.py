"""Which images are shown."""

import numpy as np

from cnnlab.report.gallery import Example, example_at, least_sure, top_confusions, worst_mistakes

PROBABILITIES = np.array(
    [
        [0.9, 0.1, 0.0],  # right
        [0.1, 0.8, 0.1],  # wrong
        [0.4, 0.3, 0.3],  # right, least sure of all
        [0.0, 0.05, 0.95],  # wrong, the surest
        [0.5, 0.5, 0.0],  # right by the order of classes
        [0.1, 0.8, 0.1],  # wrong, as sure as the second
    ],
    np.float32,
)
LABELS = np.array([0, 2, 0, 1, 0, 0])


def test_an_example() -> None:
    found = example_at(3, PROBABILITIES, LABELS)
    expected = Example(3, 1, 2, 0.95, 0.05, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_worst_mistakes_first() -> None:
    assert [e.place for e in worst_mistakes(PROBABILITIES, LABELS, 5)] == [3, 1, 5]
    assert [e.place for e in worst_mistakes(PROBABILITIES, LABELS, 2)] == [3, 1]
    assert worst_mistakes(PROBABILITIES, PROBABILITIES.argmax(axis=1), 5) == []


def test_least_sure_first() -> None:
    assert [e.place for e in least_sure(PROBABILITIES, LABELS, 3)] == [2, 4, 1]
    assert len(least_sure(PROBABILITIES, LABELS, 99)) == 6


def test_top_confusions() -> None:
    confusion = np.array([[50, 2, 0], [7, 50, 0], [1, 3, 50]])
    assert top_confusions(confusion, 3) == [(1, 0, 7), (2, 1, 3), (0, 1, 2)]
    assert top_confusions(np.diag([5, 5]), 3) == []
    assert confusion[0, 0] == 50  # left as it was
