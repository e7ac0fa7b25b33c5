"""The heads of scikit-learn on features of a test's own."""

import numpy as np
import pytest

from cnnlab.bottleneck.sklearn_heads import example_weights, forest_outputs, train_svm
from cnnlab.data.datasets import Split

LABELS = np.array([0, 0, 0, 1])


def test_the_weight_of_an_example_is_that_of_its_class_times_its_own() -> None:
    own = np.array([1, 2, 0, 4], np.float32)
    plain, weighted = Split(None, LABELS), Split(None, LABELS, own)
    names = ("cat", "dog")
    assert example_weights(None, plain, names) is None
    assert example_weights(None, weighted, names) is own
    balanced = example_weights("balanced", plain, names)
    np.testing.assert_allclose(balanced, [2 / 3, 2 / 3, 2 / 3, 2])
    np.testing.assert_allclose(example_weights({"dog": 3}, weighted, names), [1, 2, 0, 12])


@pytest.mark.parametrize("head", ["svm", "forest"])
def test_examples_without_weight_do_not_count(head: str) -> None:
    """Of 40 features, the labels of 20 are wrong; their weight is 0."""
    features = np.tile(np.array([[-1.0], [1.0]], np.float32), (20, 1))
    labels = np.tile([0, 1], 20)
    labels[:20] = 1 - labels[:20]
    asked, weights = features[:2], np.repeat(np.array([0, 1], np.float32), 20)
    for given, expected in ((weights, [0, 1]), (1 - weights, [1, 0])):
        if head == "svm":
            linear = train_svm(features, labels, 2, c=1.0, seed=1, weights=given)
            outputs = linear.outputs(asked)
        else:
            outputs = forest_outputs(features, labels, asked, trees=5, seed=1, weights=given)
        assert outputs.argmax(axis=1).tolist() == expected
