"""Precision and recall against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_curve
from tensorboard.util import tensor_util

from cnnlab.run.tensorboard.curves import THRESHOLDS, class_curve, curve_values


@pytest.mark.parametrize("seed", range(3))
def test_a_curve_is_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    is_class = rng.random(400) < 0.3
    probabilities = np.clip(rng.normal(0.3 + 0.3 * is_class, 0.3), 0, 1).astype(np.float32)
    thresholds = np.linspace(0, 1, THRESHOLDS).astype(np.float32)
    probabilities[:20] = thresholds[5:25]  # a probability equal to a threshold counts as predicted
    curve = class_curve(probabilities, is_class)
    precision, recall, scores = precision_recall_curve(is_class, probabilities)
    place = np.searchsorted(scores, thresholds, side="left")
    np.testing.assert_allclose(curve.precision, precision[place], rtol=1e-12)
    np.testing.assert_allclose(curve.recall, recall[place], rtol=1e-12)
    for index in (0, 40, 100, THRESHOLDS - 1):
        (tn, fp), (fn, tp) = confusion_matrix(is_class, probabilities >= thresholds[index])
        found = (
            curve.true_positives[index],
            curve.false_positives[index],
            curve.true_negatives[index],
            curve.false_negatives[index],
        )
        assert found == (tp, fp, tn, fn)


def test_without_an_image_of_the_class() -> None:
    curve = class_curve(np.float32([0.2, 0.9]), np.array([False, False]))
    assert not curve.recall.any()
    assert curve.precision[0] == 0
    assert curve.precision[-1] == 1  # no image is predicted to be of the class


def test_the_summary_has_one_tag_for_each_class_and_six_rows() -> None:
    probabilities = np.float32([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    values = curve_values(probabilities, np.array([0, 1, 1]), ["cat", "dog"])
    assert [value.tag for value in values] == ["classes/cat/pr_curves", "classes/dog/pr_curves"]
    rows = tensor_util.make_ndarray(values[1].tensor)
    assert rows.shape == (6, THRESHOLDS)
    np.testing.assert_array_equal(rows[:4, 0], [2, 1, 0, 0])
    assert values[0].metadata.plugin_data.plugin_name == "pr_curves"
