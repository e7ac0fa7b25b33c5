"""Which images make up the batch of a step."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cnnlab.base.tf1 import tf
from cnnlab.data.pipeline import make_batch_stream, make_index_stream
from cnnlab.data.resident import build_resident_data
from cnnlab.data.specs import DatasetSpec
from cnnlab.data.step_rows import StepRows


def spec_of(image_shape: tuple[int, int, int]) -> DatasetSpec:
    return DatasetSpec("test", image_shape, ("a", "b"), 0, 0)


def batches(
    n: int, batch_size: int, count: int, seed: int = 1, first_step: int = 0
) -> npt.NDArray[np.int64]:
    """int64 [count, batch_size]: the first batches of a stream."""
    with tf.Graph().as_default(), tf.Session() as session:
        indices = make_index_stream(n, batch_size, seed, first_step).get_next()
        assert indices.dtype == tf.int64
        return np.stack([session.run(indices) for _ in range(count)])


@pytest.mark.parametrize(("n", "batch_size"), [(20, 6), (20, 5), (20, 20), (7, 1), (1, 1), (9, 8)])
def test_each_epoch_has_every_image_once(n: int, batch_size: int) -> None:
    epochs = batches(n, batch_size, 4 * n).reshape(-1, n)[:4]
    assert (np.sort(epochs, axis=1) == np.arange(n)).all()
    if n > 6:
        assert len({tuple(epoch) for epoch in epochs}) == 4


@pytest.mark.parametrize("first_step", [1, 3, 4, 10, 13])
def test_the_stream_starts_at_any_step(first_step: int) -> None:
    """Steps 10 and 20 of 20 images in batches of 6 begin an epoch; the others stand within."""
    whole = batches(20, 6, 25)
    assert np.array_equal(
        batches(20, 6, 25 - first_step, first_step=first_step), whole[first_step:]
    )


def test_a_late_start_costs_nothing() -> None:
    assert batches(60_000, 100, 1, first_step=10**9).shape == (1, 100)


def test_the_order_is_of_the_seed() -> None:
    assert not np.array_equal(batches(50, 50, 1, seed=1), batches(50, 50, 1, seed=2))
    assert np.array_equal(batches(50, 50, 3, seed=2), batches(50, 50, 3, seed=2))


def test_the_batch_size_does_not_change_the_order() -> None:
    assert np.array_equal(batches(20, 6, 10).ravel(), batches(20, 5, 12).ravel())


def test_the_order_stays_from_release_to_release() -> None:
    """Another one makes every resumed run another run."""
    assert batches(10, 10, 2).tolist() == [
        [8, 4, 1, 9, 0, 7, 3, 6, 5, 2],
        [8, 5, 0, 3, 4, 9, 2, 6, 1, 7],
    ]


@pytest.mark.parametrize("has_weights", [False, True])
@pytest.mark.parametrize(
    ("shape", "batch_size", "first_step"),
    [((2, 2, 1), 6, 0), ((2, 2, 1), 6, 13), ((200, 200, 3), 6, 3), ((300, 300, 3), 1, 21)],
)
@pytest.mark.slow
def test_images_collected_ahead_are_those_of_the_indices(
    shape: tuple[int, int, int], batch_size: int, first_step: int, has_weights: bool
) -> None:
    """Many batches at once, some, or one; in epochs of 20."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (20, *shape), np.uint8), rng.integers(0, 9, 20)
    weights = rng.random(20, np.float32) if has_weights else None
    with tf.Graph().as_default(), tf.Session() as session:
        data = build_resident_data(spec_of(shape), 20, has_weights=has_weights)
        data.fill(session, images, labels, weights)
        rows = make_batch_stream(data, batch_size, 1, first_step).get_next()
        for indices in batches(20, batch_size, 25, first_step=first_step):
            found = session.run(rows)
            assert np.array_equal(found["indices"], indices)
            assert np.array_equal(found["images"], images[indices])
            assert np.array_equal(found["labels"], labels[indices])
            if weights is not None:
                assert np.array_equal(found["weights"], weights[indices])
            assert len(found) == 3 + has_weights


@pytest.mark.parametrize(("n", "batch_size"), [(20, 6), (20, 20), (5, 5)])
def test_the_batch_of_a_single_step(n: int, batch_size: int) -> None:
    labels = np.arange(n)
    with tf.Graph().as_default(), tf.Session() as session:
        data = build_resident_data(spec_of((1, 1, 1)), n)
        data.fill(session, np.zeros((n, 1, 1, 1), np.uint8), labels)
        rows = StepRows(data, batch_size, 1)
        expected = list(enumerate(batches(n, batch_size, 12)))
        for number, indices in (*expected, *expected[::-1]):
            found = rows.run(session, number)
            assert found["indices"].tolist() == found["labels"].tolist() == indices.tolist()


def test_the_order_of_an_epoch_is_computed_once() -> None:
    """Steps 0 to 2 are in epoch 0, step 3 is in both, 4 and 5 are in epoch 1; 20 images."""
    with tf.Graph().as_default(), tf.Session() as session:
        data = build_resident_data(spec_of((1, 1, 1)), 20)
        data.fill(session, np.zeros((20, 1, 1, 1), np.uint8), np.arange(20))
        rows, fed = StepRows(data, 6, 1), []

        class Counting:
            def run(self, fetches: Any, feeds: dict[Any, Any]) -> Any:
                fed.extend(value for value in feeds.values() if np.ndim(value) == 0)
                return session.run(fetches, feeds)

        for step in range(6):
            rows.run(Counting(), step)
    assert fed == [0, 1]


def test_two_sessions_find_their_own_data_by_name() -> None:
    with tf.Graph().as_default():
        data = build_resident_data(spec_of((1, 1, 1)), 4)
        images = make_batch_stream(data, 4, 1, 0).get_next()["images"]
        for value in (1, 2):
            with tf.Session() as session:
                data.fill(session, np.full((4, 1, 1, 1), value, np.uint8), np.zeros(4))
                assert (session.run(images) == value).all()


def test_all_places_are_as_likely() -> None:
    """Image 0's place over 2,000 epochs of 10: 200 each, give or take 5 deviations of 13.4."""
    places = np.argmin(batches(10, 10, 2000), axis=1)
    assert np.abs(np.bincount(places, minlength=10) - 200).max() < 67


def test_nothing_of_the_data_is_in_the_graph() -> None:
    images = np.random.default_rng(0).integers(0, 256, (1000, 32, 32, 3), np.uint8)
    labels = np.arange(1000)
    with tf.Graph().as_default() as graph, tf.Session() as session:
        data = build_resident_data(spec_of((32, 32, 3)), 1000)
        make_batch_stream(data, 500, 1, 0)
        data.fill(session, images, labels)
        found = session.run((data.variables["images"], data.variables["labels"]))
        assert np.array_equal(found[0], images)
        assert np.array_equal(found[1], labels)
        assert found[1].dtype == np.int64
        assert tf.global_variables() == []
        assert len(tf.local_variables()) == 2
        assert graph.as_graph_def().ByteSize() < 100_000
