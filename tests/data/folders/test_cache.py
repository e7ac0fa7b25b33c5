"""The same bits from memory, from the cache on disk, and from the files; see `picture_reader`."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.base.errors import CnnlabError, DataError
from cnnlab.config.resolve import resolve
from cnnlab.data.folders.found import CACHE_FOLDER
from cnnlab.data.row_images import RowImages
from cnnlab.data.training_data import TrainingData
from cnnlab.train import Train

OPTIONS = {
    "dataset": "folder:p",
    "image_size": [8, 8],
    "model": "mnist_mlp",
    "batch_size": 4,
    "eval_steps": 6,
    "augment": ["flip"],
    "seed": 3,
}


@pytest.fixture(autouse=True)
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(1)
    for name in ("a", "b"):
        Path("p", name).mkdir(parents=True)
        for number in range(10):
            pixels = random.integers(0, 255, (9 + number, 12, 3), np.uint8)
            Image.fromarray(pixels).save(f"p/{name}/{number}.jpg")


def data_of(**options: object) -> TrainingData:
    return TrainingData(resolve({**OPTIONS, **options}), None)


def weights_of(cache: str, cuts: tuple[int, ...] = ()) -> list[np.ndarray]:
    for steps in (*cuts, 12):
        with Train(**OPTIONS, cache=cache, save_dir=f"run_{cache}_{len(cuts)}") as train:
            train.train(steps=steps)
            found = [train.session.run(v) for v in train.train_graph.variables]
    return found


@pytest.mark.slow
def test_weights_are_the_same_wherever_the_pixels_are() -> None:
    resident = weights_of("memory")
    for cache in ("disk", "none"):
        for one, other in zip(resident, weights_of(cache), strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(resident, weights_of("none", cuts=(5,)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_run_goes_on_from_another_place() -> None:
    with Train(**OPTIONS, cache="memory", save_dir="run") as train:
        train.train(steps=5)
    with Train(**OPTIONS, cache="none", save_dir="run") as train:
        train.train(steps=12)
        found = [train.session.run(v) for v in train.train_graph.variables]
    for one, other in zip(weights_of("memory"), found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_cache_is_read_again_until_a_picture_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    first = np.asarray(data_of(cache="disk").split("train").images)
    (cache,) = Path("p", CACHE_FOLDER).glob("*.pixels")
    changed = cache.stat().st_mtime_ns
    images = data_of(cache="disk").split("train").images
    assert isinstance(images, RowImages)
    np.testing.assert_array_equal(np.asarray(images), first)
    assert cache.stat().st_mtime_ns == changed
    os.utime("p/a/0.jpg", ns=(1, 1))  # another time, the same content
    data_of(cache="disk").split("train")
    assert len(list(Path("p", CACHE_FOLDER).glob("*.pixels"))) == 1
    for place in Path("p/a").glob("*.jpg"):
        Image.new("RGB", (8, 8), "red").save(place)
    again = np.asarray(data_of(cache="disk").split("train").images)
    assert (again != first).any()


def test_bad_files_are_found_before_training() -> None:
    content = Path("p/a/1.jpg").read_bytes()
    Path("p/a/1.jpg").write_bytes(content[: len(content) // 2])
    for cache in ("memory", "disk", "none"):
        with pytest.raises(DataError, match=r"p/a/1.jpg cannot be read .*--bad_files=skip"):
            data_of(cache=cache).split("train"), data_of(cache=cache).split("test")
        sizes = [data_of(cache=cache, bad_files="skip").spec.skipped for _ in range(2)]
        assert [len(skipped) for skipped in sizes] == [1, 1]


def test_a_picture_that_changes_or_vanishes_in_mid_run_is_named() -> None:
    images = data_of(cache="none").split("train").images
    np.asarray(images)
    for name in ("a", "b"):
        for place in Path("p", name).glob("*.jpg"):
            os.utime(place, ns=(1, 1))
    with pytest.raises(DataError, match=r"\.jpg has changed since the run began"):
        np.asarray(images)


@pytest.mark.slow
def test_training_stops_with_the_error_of_the_picture() -> None:
    with Train(**OPTIONS, cache="none", save_dir="run") as train:
        train.train(steps=6)
        for place in Path("p").glob("*/*.jpg"):
            place.unlink()
        with pytest.raises(CnnlabError, match=r"\.jpg cannot be read: No such file .*bring it"):
            train.train(steps=40)


def test_a_full_disk_is_said_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: _Full)
    with pytest.raises(DataError, match=r"needs .* GiB, but .* has 0.0 GiB left; .*--cache=none"):
        data_of(cache="disk").split("train")
    assert not list(Path("p", CACHE_FOLDER).glob("*.pixels"))


class _Full:
    free = 0
