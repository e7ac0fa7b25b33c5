"""Prepared runs of the inference tower against `session.run`."""

from pathlib import Path

import numpy as np
import pytest

from cnnlab.errors import CnnlabError
from cnnlab.inference import TowerSession
from tests import small as tiny


def test_the_same_bits_as_a_session_run(tmp_path: Path) -> None:
    (images, labels), _ = tiny.arrays()
    with tiny.make(tmp_path, steps=3, eval_batch_size=6) as train:
        train.train()
        tower = train.train_graph.tower
        fetches = (tower.probabilities, tower.losses)
        probabilities, losses = [], []
        for start in range(0, len(images), 6):
            part = slice(start, start + 6)
            feed = {tower.images_ph: images[part], tower.labels_ph: labels[part]}
            found = train.session.run(fetches, feed)
            probabilities.append(found[0])
            losses.append(found[1])
        expected = np.concatenate(probabilities)
        assert np.array_equal(train.predict(images), expected)
        assert np.array_equal(train.predict(images.astype(np.int64)), expected)
        assert np.array_equal(train.predict(np.asfortranarray(images)), expected)
        assert train.predict(images[:0]).shape == (0, 4)
        mean = np.concatenate(losses).astype(np.float64).mean()
        figures = train.evaluate("train")
        assert figures["n"] == len(images)
        assert figures["loss"] == pytest.approx(mean, rel=1e-14)


def test_new_weights_are_seen(tmp_path: Path) -> None:
    """What is prepared once is the run, not its result."""
    images = tiny.arrays()[0][0]
    with tiny.make(tmp_path, steps=3) as train:
        before = train.predict(images)
        train.train()
        after = train.predict(images)
        found = train.session.run(train.train_graph.tower.probabilities, {train.images_ph: images})
    assert not np.array_equal(before, after)
    np.testing.assert_allclose(after, found, rtol=1e-5)


def test_a_failure_is_one_line(tmp_path: Path) -> None:
    with tiny.make(tmp_path) as train:
        tower_session = TowerSession(train.session, train.train_graph.tower)
        with pytest.raises(CnnlabError, match=r"^prediction: [^\n]+$"):
            tower_session.predict(np.zeros((2, 5, 5, 3), np.uint8), batch_size=2)
