"""Which classes the epochs of training draw, against counts that are made in another way."""

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cnnlab.base.errors import UsageError
from cnnlab.base.tf1 import tf
from cnnlab.config import options as opts
from cnnlab.config.config import Config
from cnnlab.data import resident, sampling
from cnnlab.data.arrays import dataset_of
from cnnlab.data.chunk import Chunk
from cnnlab.data.class_balance import ClassBalance, read_balance
from cnnlab.data.pipeline import RowStream, make_index_stream
from cnnlab.data.resident import build_resident_data
from cnnlab.data.sampling import MOST_DRAWS, Sampler, draws_of_epoch, epoch_size
from cnnlab.data.specs import DatasetSpec
from cnnlab.data.step_rows import StepRows
from cnnlab.data.training_data import TrainingData
from tests import small_run

KINDS = ("balanced", "oversample", "undersample")
COUNTS = ([3, 17], [7, 7, 7], [1, 5, 2, 9], [4, 0, 6], [8], [11, 2, 3])
SIZES = {"balanced": sum, "oversample": max, "undersample": min}


def labels_of(counts: list[int]) -> npt.NDArray[np.int64]:
    """Return labels in random order, but the same in every call."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(1).permutation(labels)


def drawn(
    sampling: str,
    counts: list[int],
    epochs: int,
    *,
    batch_size: int = 1,
    seed: int = 1,
    first_step: int = 0,
) -> npt.NDArray[np.int64]:
    """Return the numbers of the images of the first epochs, int64 [draws]."""
    labels = labels_of(counts)
    with tf.Graph().as_default(), tf.Session() as session:
        sampler = Sampler(sampling, counts)
        iterator = make_index_stream(len(labels), batch_size, seed, first_step, sampler)
        indices = sampler.numbers(iterator.get_next())
        steps = epochs * sampler.epoch_size // batch_size - first_step
        sampler.fill(session, labels)
        return np.concatenate([session.run(indices) for _ in range(steps)])


def expected_draws(sampling: str, counts: list[int], epochs: int) -> list[list[int]]:
    """Return the draws of each class in each epoch; every class saves up fractions of a draw."""
    present = [place for place, count in enumerate(counts) if count]
    found = SIZES[sampling]([counts[place] for place in present])
    share = Fraction(found) if sampling != "balanced" else Fraction(found, len(present))
    saved = {place: Fraction(turn, len(present)) for turn, place in enumerate(present)}
    answer = []
    for _ in range(epochs):
        of_class = [0] * len(counts)
        for place in present:
            saved[place] += share
            of_class[place] = int(saved[place])
            saved[place] -= of_class[place]
        answer.append(of_class)
    return answer


@pytest.mark.parametrize(("sampling", "counts"), [*itertools.product(KINDS, COUNTS)])
@pytest.mark.slow
def test_each_class_is_drawn_as_often_as_documented(sampling: str, counts: list[int]) -> None:
    epochs = 4
    labels, expected = labels_of(counts), expected_draws(sampling, counts, epochs)
    size = sum(expected[0])
    assert size == epoch_size(sampling, counts)
    assert [draws_of_epoch(sampling, counts, epoch) for epoch in range(epochs)] == expected
    for epoch, order in enumerate(drawn(sampling, counts, epochs).reshape(epochs, size)):
        assert np.bincount(labels[order], minlength=len(counts)).tolist() == expected[epoch]
        of_image = np.bincount(order, minlength=len(labels))
        for number, draws in enumerate(expected[epoch]):
            if counts[number]:
                times = of_image[labels == number]
                assert {*times} <= {draws // counts[number], -(-draws // counts[number])}


def test_the_classes_take_turns_with_the_rest() -> None:
    epochs = [draws_of_epoch("balanced", [11, 2, 3], epoch) for epoch in range(3)]
    assert sorted(map(tuple, epochs)) == [(5, 5, 6), (5, 6, 5), (6, 5, 5)]
    assert draws_of_epoch("balanced", [11, 2, 3], 10**12) in epochs
    assert draws_of_epoch("shuffle", [11, 2, 3], 5) == [11, 2, 3]


def test_undersampling_draws_other_images_in_each_epoch() -> None:
    labels = labels_of([3, 17])
    orders = drawn("undersample", [3, 17], 40).reshape(40, 6)
    of_large = [frozenset(order[labels[order] == 1]) for order in orders]
    assert len(set(of_large)) > 35
    assert set().union(*of_large) == set(np.flatnonzero(labels == 1))


def test_undersampling_draws_as_if_all_images_were_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for most in (200, 0):
        monkeypatch.setattr(sampling, "_MOST_PARTS", most)
        found.append(drawn("undersample", [5, 2, 0, 9], 6, batch_size=4))
    np.testing.assert_array_equal(*found)


@pytest.mark.slow
def test_draws_are_in_random_order() -> None:
    """Each place of 2,000 epochs has the small class 1,000 times, give or take 5 deviations."""
    labels = labels_of([1, 5])
    orders = drawn("balanced", [1, 5], 2000, batch_size=6).reshape(2000, 6)
    assert np.abs((labels[orders] == 0).sum(axis=0) - 1000).max() < 5 * 2000**0.5 / 2
    times = np.bincount(orders[labels[orders] == 1])[labels == 1]
    assert np.abs(times - 1200).max() < 5 * (2000 * 0.6 * 0.4) ** 0.5


@pytest.mark.parametrize("sampling", KINDS)
@pytest.mark.slow
def test_the_stream_starts_at_any_step(sampling: str) -> None:
    """Batches of 4 straddle the epochs, whose sizes are 16, 33 and 6."""
    counts = [11, 2, 3]
    whole = drawn(sampling, counts, 9, batch_size=4).reshape(-1, 4)
    for first in (1, 2, 3, 4, 9, len(whole) - 1):
        rest = drawn(sampling, counts, 9, batch_size=4, first_step=first).reshape(-1, 4)
        assert np.array_equal(rest, whole[first:])
    assert np.array_equal(drawn(sampling, counts, 9)[: whole.size], whole.ravel())
    assert not np.array_equal(drawn(sampling, counts, 9, batch_size=4, seed=2), whole.ravel())


def test_the_order_stays_from_release_to_release() -> None:
    """Another one makes every resumed run another run."""
    assert drawn("balanced", [2, 6], 2).reshape(2, 8).tolist() == ORDER


ORDER = [[2, 7, 2, 3, 1, 0, 6, 1], [1, 2, 2, 4, 7, 1, 0, 3]]


@pytest.mark.parametrize("is_on_gpu", [False, True])
@pytest.mark.parametrize("sampling", KINDS)
@pytest.mark.slow
def test_rows_and_chunks_are_those_of_the_indices(
    sampling: str, is_on_gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images on a GPU are gathered outside the input stream; here that way runs on the CPU."""
    monkeypatch.setattr(resident, "is_on_cpu", lambda _handle: not is_on_gpu)
    counts = [3, 17]
    labels, images = labels_of(counts), np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)
    indices = drawn(sampling, counts, 12, batch_size=3).reshape(-1, 3)[:20]
    with tf.Graph().as_default(), tf.Session() as session:
        data = build_resident_data(DatasetSpec("test", (1, 1, 1), ("a", "b"), 0, 0), 20)
        sampler = Sampler(sampling, counts)
        rows = RowStream(data, 3, 1, 0, sampler).next_rows()
        chunk = Chunk(data, 3, 1, 5, 4, sampler)
        taken = chunk.take()[0]
        single = StepRows(data, 3, 1, sampler)
        data.fill(session, images, labels)
        sampler.fill(session, labels)
        session.run(chunk.init_op)
        for expected in indices:
            found = session.run(rows)
            assert np.array_equal(found["indices"], expected)
            assert np.array_equal(found["images"].ravel(), expected)
            assert np.array_equal(found["labels"], labels[expected])
        for number in (0, 5, 19):
            assert np.array_equal(single.run(session, number)["indices"], indices[number])
        assert np.array_equal(session.run(taken)["images"].reshape(4, 3), indices[5:9])


@pytest.mark.slow
def test_a_million_images_leave_the_graph_small() -> None:
    counts = [999_000, *[10] * 100]
    labels = labels_of(counts)
    with tf.Graph().as_default() as graph, tf.Session() as session:
        sampler = Sampler("balanced", counts)
        places = make_index_stream(len(labels), 1000, 1, 10**9, sampler).get_next()
        indices = sampler.numbers(places)
        assert graph.as_graph_def().ByteSize() < 50_000
        assert tf.global_variables() == []
        sampler.fill(session, labels)
        of_batch = np.bincount(labels[session.run(indices)], minlength=101)
        assert 0 < of_batch[0] < 40  # about 10 of 1,000 for each of 101 classes


def data_of(targets: str = "classes", **options: Any) -> TrainingData:
    train, test = small_run.arrays()
    labels = np.where(np.arange(20) < 3, 0, 1)
    pairs = ((train[0], labels), (test[0], np.arange(7) % 2))
    if targets != "classes":
        kind = np.int64 if targets == "labels" else np.float32
        pairs = tuple((images, np.eye(2, dtype=kind)[y] * 1) for images, y in pairs)  # type: ignore[assignment]
        pairs = tuple(
            (images, 1 - 0.5 * y if targets == "values" else 0 * y + 1) for images, y in pairs
        )  # type: ignore[assignment]
    return TrainingData(opts.build(Config, {"batch_size": 5, **options}), dataset_of(pairs))


@pytest.mark.parametrize(
    ("sampling", "size"),
    [("shuffle", 20), ("balanced", 20), ("oversample", 34), ("undersample", 6)],
)
def test_an_epoch_has_the_documented_length(sampling: str, size: int) -> None:
    data = data_of(sampling=sampling, epochs=10)
    assert data.num_train == 20
    assert data.epoch_size == size
    assert opts.build(Config, {"batch_size": 5, "epochs": 10}).total_steps(size) == 2 * size
    assert data.schedule_length(opts.build(Config, {"batch_size": 5, "epochs": 10})) == 2 * size


@pytest.mark.parametrize(
    ("targets", "are"),
    [("labels", "the images have several labels"), ("values", "the labels are real values")],
)
def test_labels_that_are_no_classes_are_refused(targets: str, are: str) -> None:
    loss = {"labels": "sigmoid", "values": "mse"}[targets]
    data = data_of(targets, sampling="oversample", loss=loss)
    assert data.spec.targets == targets
    with pytest.raises(
        UsageError, match=f"^--sampling=oversample is for one class an image, but {are}; give"
    ) as error:
        data.check_options()
    assert "\n" not in str(error.value)


def test_two_remedies_at_once_are_refused() -> None:
    with pytest.raises(UsageError, match="--class_weights=balanced and --sampling=balanced both"):
        opts.build(Config, {"sampling": "balanced", "class_weights": "balanced"})
    opts.build(Config, {"sampling": "balanced", "class_weights": [1, 2]})


def test_an_epoch_that_is_too_long_is_refused() -> None:
    counts = [MOST_DRAWS // 100, *[1] * 100]
    with pytest.raises(UsageError, match="an epoch would draw 101,000,000 images, 101 classes of"):
        epoch_size("oversample", counts)
    assert epoch_size("balanced", counts) == sum(counts)


def test_what_is_said_and_recorded() -> None:
    config = opts.build(Config, {"sampling": "balanced", "class_weights": {"b": 2}})
    balance = ClassBalance(config, [3, 18, 0], ("a", "b", "c"))
    assert balance.describe() == (
        "balanced: an epoch draws 21 images: a 10 from 3, b 11 from 18, c 0 from 0; the classes "
        "take turns with the rest"
    )
    rows = [("a", 3, 10.5, 1.0), ("b", 18, 10.5, 2.0), ("c", 0, 0.0, 1.0)]
    assert read_balance(balance.facts()) == (21, rows)
    assert read_balance(None) == read_balance({"classes": 3}) == (None, [])
    weights = opts.build(Config, {"class_weights": "balanced"})
    facts = ClassBalance(weights, [5, 15], ("a", "b")).facts()
    assert read_balance(facts) == (20, [("a", 5, 5.0, 2.0), ("b", 15, 15.0, 0.666667)])
    many = ClassBalance(config, [2] * 100, tuple(map(str, range(100))))
    assert many.describe().endswith("9 2 from 2, and so on for 90 more")
