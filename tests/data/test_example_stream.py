"""Training sets that are streams, and data that is indexed; see `example_stream` and `indexed`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import streamed
from cnnlab.base.errors import DataError, UsageError
from cnnlab.base.tf1 import tf
from cnnlab.data import indexed
from cnnlab.data.arrays import dataset_from_arrays
from cnnlab.data.row_images import RowImages
from cnnlab.train import Train

N = 40
IMAGES = np.random.default_rng(1).integers(0, 255, (N, 6, 6, 1), np.uint8)
LABELS = np.arange(N) % 3
TEST = (IMAGES[:9], LABELS[:9])
OPTIONS: dict[str, Any] = {"model": "mnist_mlp", "batch_size": 8, "eval_steps": 5, "seed": 2}


class Indexed:
    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        return IMAGES[i], LABELS[i]


def examples() -> Iterator[tuple[Any, Any]]:
    yield from zip(IMAGES, LABELS, strict=True)


def trained(data: Any, folder: Path, *stops: int) -> list[Any]:
    for steps in stops:
        with Train(data=data, save_dir=folder, **OPTIONS) as train:
            train.train(steps=steps)
            found = [train.session.run(v) for v in train.train_graph.variables]
    return found


def assert_same(these: list[Any], those: list[Any]) -> None:
    for one, other in zip(these, those, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_indexed_data_gives_the_same_bits_also_when_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = trained(((IMAGES, LABELS), TEST), tmp_path / "arrays", 12)
    monkeypatch.setattr(indexed, "LARGEST_SHARE", 0)
    data = dataset_from_arrays(Indexed(), TEST)
    assert isinstance(data.train.images, RowImages)
    assert_same(expected, trained(data, tmp_path / "whole", 12))
    assert_same(expected, trained(data, tmp_path / "cut", 4, 12))


@pytest.mark.slow
def test_images_of_a_mapped_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexed, "LARGEST_SHARE", 0)
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    data = dataset_from_arrays((mapped, LABELS), TEST)
    assert isinstance(data.train.images, RowImages)
    expected = trained(((IMAGES, LABELS), TEST), tmp_path / "arrays", 6)
    assert_same(expected, trained(data, tmp_path / "mapped", 6))


@pytest.mark.slow
def test_summaries_of_images_that_are_not_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of layers are of the first images; the next batch cannot be drawn a second time."""
    monkeypatch.setattr(indexed, "LARGEST_SHARE", 0)
    data = dataset_from_arrays(Indexed(), TEST)
    with Train(data=data, save_dir=tmp_path / "layers", layer_summaries=True, **OPTIONS) as train:
        assert train.train(steps=2)["finished"]
        assert train.train_graph.step_rows is None
    with (
        Train(data=data, save_dir=tmp_path / "rows", inference_summaries=True, **OPTIONS) as train,
        pytest.raises(UsageError, match="inference_summaries needs training images in memory"),
    ):
        train.train(steps=2)


def test_batches_of_a_stream_come_in_its_order(capfd: pytest.CaptureFixture[str]) -> None:
    data = dataset_from_arrays(streamed(examples, examples_per_epoch=N), TEST)
    assert (data.spec.num_train, data.spec.class_names) == (N, ("0", "1", "2"))
    read = data.train.images.start()
    batches = [read(np.arange(7)) for _ in range(7)]
    images, labels = (np.concatenate(column) for column in zip(*batches, strict=True))
    np.testing.assert_array_equal(images, np.concatenate([IMAGES, IMAGES[:9]]))
    np.testing.assert_array_equal(labels, np.concatenate([LABELS, LABELS[:9]]))


@pytest.mark.parametrize("batch", [0, 16])
@pytest.mark.slow
def test_training_on_a_dataset_without_an_end(
    batch: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with tf.Graph().as_default():
        stored = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).repeat()
        stored = stored.batch(batch) if batch else stored
    data = (streamed(stored, examples_per_epoch=N), TEST)
    assert len(trained(data, tmp_path / "run", 6))
    assert capfd.readouterr().err.count("note: the training data is a stream") == 1


def test_what_needs_all_of_a_stream_is_refused(tmp_path: Path) -> None:
    data = (streamed(examples, examples_per_epoch=N), TEST)
    for options in ({"validation_split": 0.2}, {"class_weights": "balanced"}):
        with pytest.raises(UsageError, match="the training data is a stream"):
            Train(data=data, save_dir=tmp_path, **OPTIONS, **options).train(steps=2)


def test_values_of_a_stream_are_checked_when_they_are_read() -> None:
    values = np.where(np.arange(N) == 20, -1.5, 0.5)
    stream = streamed(lambda: zip(IMAGES, values, strict=True), examples_per_epoch=N)
    with Train(data=(stream, (IMAGES[:9], values[:9])), **OPTIONS, loss="msle") as train:
        read = train.data.split("train").images.start()
        read(np.arange(16))
        with pytest.raises(
            DataError, match=r"train labels: the smallest is -1\.5, but --loss=msle"
        ):
            read(np.arange(8))
    with pytest.raises(DataError, match=r"test labels: the smallest is -1\.5, but --loss=msle"):
        Train(data=(stream, (IMAGES[:21], values[:21])), **OPTIONS, loss="msle")


def test_bad_streams() -> None:
    with pytest.raises(UsageError, match=r"needs a tf\.data\.Dataset or a function"):
        streamed([1], examples_per_epoch=3)
    with pytest.raises(UsageError, match="examples_per_epoch=0"):
        streamed(examples, examples_per_epoch=0)
    with pytest.raises(DataError, match="yields nothing"):
        streamed(lambda: iter(()), examples_per_epoch=3)
    with pytest.raises(DataError, match="only the training data can be one"):
        dataset_from_arrays(TEST, streamed(examples, examples_per_epoch=N))
