"""Prepared runs of the inference graph give the same as `session.run`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.base.errors import CnnlabError, NonFiniteError
from cnnlab.base.tf1 import tf
from cnnlab.models import ModelFunction
from cnnlab.run.inference import GraphSession, eval_batch_size
from tests import small_run


# NumPy computes the cross-entropy from the logits; other losses come from the graph, bit for bit.
@pytest.mark.parametrize(("loss", "tolerance"), [("mse", 1e-14), ("softmax", 1e-6)])
@pytest.mark.slow
def test_the_same_bits_as_a_session_run(tmp_path: Path, loss: str, tolerance: float) -> None:
    (images, labels), _ = small_run.arrays()
    with small_run.make(tmp_path, steps=3, eval_batch_size=6, loss=loss) as train:
        train.train()
        graph = train.train_graph.inference
        fetches = (graph.probabilities, graph.losses)
        probabilities, losses = [], []
        for start in range(0, len(images), 6):
            part = slice(start, start + 6)
            feed = {graph.images_ph: images[part], graph.labels_ph: labels[part]}
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
        assert figures["loss"] == pytest.approx(mean, rel=tolerance)


@pytest.mark.slow
def test_new_weights_are_seen(tmp_path: Path) -> None:
    """A prepared run reads the variables again each time."""
    images = small_run.arrays()[0][0]
    with small_run.make(tmp_path, steps=3) as train:
        _ = train.session
        before = train.predict(images)
        train.train()
        after = train.predict(images)
        found = train.session.run(
            train.train_graph.inference.probabilities, {train.images_ph: images}
        )
    assert not np.array_equal(before, after)
    np.testing.assert_allclose(after, found, rtol=1e-5)


def test_classes_are_ranked_by_logits(tmp_path: Path) -> None:
    """Sigmoids of large logits are all 1, but the class is the one that evaluate names."""

    def large(images: Any, num_classes: int, *, training: bool) -> Any:
        return 1000 + small_run.linear(images, num_classes, training=training)

    (images, labels), _ = small_run.arrays()
    with small_run.make(tmp_path, large, steps=3, loss="sigmoid", output="sigmoid") as train:
        train.train()
        figures = train.evaluate("train")
        session = GraphSession(train.session, train.train_graph.inference, train.config)
        logits = train.session.run(train.logits, {train.images_ph: images})
        classes, probabilities = session.predict_ranked(images)
        assert (np.ptp(train.predict(images), axis=1) == 0).all()
    assert np.array_equal(classes, np.argsort(-logits, axis=1))
    assert np.mean(classes[:, 0] == labels) == figures["accuracy"]
    assert probabilities.shape == classes.shape == (20, 4)


def test_logits_that_are_not_finite_name_no_class(tmp_path: Path) -> None:
    def broken(images: Any, num_classes: int, *, training: bool) -> Any:
        return small_run.linear(images, num_classes, training=training) * float("nan")

    images = small_run.arrays()[0][0]
    with small_run.make(tmp_path, broken) as train:
        session = GraphSession(train.session, train.train_graph.inference, train.config)
        with pytest.raises(NonFiniteError, match="logits are not finite"):
            session.predict_ranked(images)


def wide(images: Any, num_classes: int, *, training: bool) -> Any:
    """A model with a large layer that is not from cnnlab."""
    rows = tf.tile(tf.reshape(images, [-1, 192]), [1, 100])
    return small_run.linear(rows[:, :192], num_classes, training=training)


def unknown(images: Any, num_classes: int, *, training: bool) -> Any:
    """A model with a layer of unknown size."""
    vague = tf.placeholder_with_default(images, [None, None, None, 3])
    return small_run.linear(tf.ensure_shape(vague, images.shape), num_classes, training=training)


@pytest.mark.parametrize(
    ("model", "given", "expected"),
    [
        (small_run.linear, 7, 7),
        (small_run.linear, "auto", 2**23 // (4 * 8 * 8 * 3) // 64 * 64),
        (wide, "auto", 500),
        (unknown, "auto", 500),
    ],
)
def test_a_batch_is_larger_where_layers_are_small(
    model: ModelFunction, given: int | str, expected: int, tmp_path: Path
) -> None:
    with small_run.make(tmp_path, model, eval_batch_size=given) as train:
        assert eval_batch_size(train.config, train.train_graph.inference) == expected


def test_the_size_of_a_batch_changes_nothing_but_rounding(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12000, *small_run.IMAGE_SHAPE), np.uint8)
    found = []
    for size in ("auto", 500):
        with small_run.make(tmp_path / str(size), small_run.linear, eval_batch_size=size) as train:
            _ = train.session
            found.append(train.predict(images))
    # On AVX2 only, oneDNN uses different kernels for few and for many rows.
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


def test_a_failure_is_one_line(tmp_path: Path) -> None:
    with small_run.make(tmp_path) as train:
        graph_session = GraphSession(train.session, train.train_graph.inference, train.config)
        with pytest.raises(CnnlabError, match=r"^prediction: [^\n]+$"):
            graph_session.predict(np.zeros((2, 5, 5, 3), np.uint8))
