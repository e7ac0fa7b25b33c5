"""The histograms of layers with more values than can be counted between two steps."""

import numpy as np
import pytest

from cnnlab.base.tf1 import tf
from cnnlab.graph.layer_summaries import MOST_VALUES, build_layer_summaries


def test_a_histogram_of_many_values_takes_them_evenly() -> None:
    """All 64 channels are in it equally often; so are the first and the second half."""
    images = np.zeros((2, 50, 40, 64), np.float32)
    images[...] = 10.0 * np.arange(1, 65)
    images[1] *= -1
    images[0, 7, 9, 3] = 1e6  # one value may be missing in the histogram, but not in max
    with tf.Graph().as_default(), tf.Session() as session:
        summary = build_layer_summaries({"layer": tf.constant(images)})
        found = tf.Summary.FromString(session.run(summary))
    values = {value.tag: value for value in found.value}
    assert values["layer/max"].simple_value == 1e6
    histogram = values["layer/histogram"].histo
    assert histogram.num == MOST_VALUES < images.size
    counts, limits = np.array(histogram.bucket), np.array(histogram.bucket_limit)
    assert counts[limits < 0].sum() == MOST_VALUES / 2
    low = counts[(limits > 9) & (limits < 100)].sum()  # 10 to 90: nine of 64 channels of one image
    assert low == pytest.approx(9 * MOST_VALUES / 128, rel=0.02)


def test_a_histogram_of_few_values_has_all() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("w", [3, 5], use_resource=True)
        session.run(tf.global_variables_initializer())
        summary = build_layer_summaries({"layer": tf.ones([2, 7])})
        found = tf.Summary.FromString(session.run(summary))
    counts = {value.tag: value.histo.num for value in found.value if value.HasField("histo")}
    assert counts == {"layer/histogram": 14, "weights/w": 15}
