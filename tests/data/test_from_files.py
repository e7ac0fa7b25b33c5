"""Data sets from tables of image files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnlab.base.errors import DataError
from cnnlab.data.arrays import dataset_from_arrays, dataset_of
from tests import small_run

NAMES = ["cat", "dog", "eel", "fox"]


class Frame:
    """What cnnlab uses of pandas's DataFrame."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self._values = {name: np.array(values, object) for name, values in columns.items()}
        self.columns = np.array(list(columns), object)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]


def saved(folder: Path, images: Any) -> list[Path]:
    paths = [folder / f"{i}.png" for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths


@pytest.fixture
def table(tmp_path: Path) -> dict[str, list[Any]]:
    """The 27 images of the small run as files, with their labels as names, and their splits."""
    (images, labels), (test_images, test_labels) = small_run.arrays()
    paths = saved(tmp_path, [*images, *test_images])
    return {
        "path": paths,
        "label": [NAMES[label] for label in (*labels, *test_labels)],
        "split": ["train"] * 20 + ["validation"] * 3 + ["test"] * 4,
    }


def test_a_table_with_splits(table: dict[str, list[Any]]) -> None:
    (images, labels), (test_images, test_labels) = small_run.arrays()
    data = dataset_of(Frame(table))
    assert np.array_equal(data.train.images, images)
    assert data.train.labels.tolist() == labels.tolist()
    assert data.validation is not None
    assert np.array_equal(data.validation.images, test_images[:3])
    assert np.array_equal(data.test.images, test_images[3:])
    assert data.test.labels.tolist() == test_labels[3:].tolist()
    assert data.spec.class_names == tuple(NAMES)


def test_pandas_itself(table: dict[str, list[Any]]) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({**table, "path": [str(path) for path in table["path"]]})
    data = dataset_of(frame)
    assert (data.spec.num_train, data.spec.num_test) == (20, 4)
    halves = frame[frame["split"] == "train"], frame[frame["split"] == "test"]
    assert np.array_equal(dataset_of(halves).train.images, data.train.images)


def test_lists_of_pairs(table: dict[str, list[Any]], tmp_path: Path) -> None:
    rows = list(zip(map(str, table["path"]), table["label"], strict=True))
    data = dataset_from_arrays(rows[:20], rows[20:])
    assert np.array_equal(data.train.images, small_run.arrays()[0][0])
    values = [(path, index / 7) for index, path in enumerate(table["path"])]
    data = dataset_from_arrays(values[:2], values[2:4])
    assert data.spec.targets == "values"
    with small_run.make(tmp_path / "run", small_run.linear, (rows[:20], rows[20:]), steps=2) as run:
        assert run.train()["n"] == 7


def test_grey_files_have_one_channel_unless_one_file_has_colours(tmp_path: Path) -> None:
    images = small_run.arrays()[0][0]
    paths = saved(tmp_path, [images[0, ..., 0], images[1, ..., 0], images[2]])
    rows = [(path, i % 2) for i, path in enumerate(paths)]
    grey = dataset_from_arrays(rows[:2], rows[:2])
    assert np.array_equal(grey.train.images, images[:2, ..., :1])
    mixed = dataset_from_arrays(rows, rows)
    assert mixed.spec.image_shape == (8, 8, 3)


def test_an_upright_image_counts(tmp_path: Path) -> None:
    """A photograph that its EXIF tag turns has the size that a viewer shows."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    data = dataset_from_arrays([(tmp_path / "a.png", 0)], [(tmp_path / "a.png", 0)])
    assert data.spec.image_shape == (6, 4, 3)
    assert np.array_equal(data.train.images[0], np.rot90(pixels, -1))


def test_tables_that_do_not_fit(table: dict[str, list[Any]], tmp_path: Path) -> None:
    def refused(given: Any, why: str) -> None:
        with pytest.raises(DataError, match=why) as error:
            dataset_of(given)
        assert "\n" not in str(error.value)

    rows = list(zip(table["path"], table["label"], strict=True))
    other = tmp_path / "other.png"
    Image.new("RGB", (9, 8)).save(other)
    refused(
        ([*rows, (other, "cat")], rows), r"other.png has 9 x 8 pixels, but \S+0.png has 8 x 8; give"
    )
    refused(([*rows, (tmp_path / "none.png", "cat")], rows), r"no image file \S+none.png")
    other.write_text("no picture")
    refused(([*rows, (other, "cat")], rows), "is not an image that can be read")
    refused((rows, [*rows, (rows[0][0], "gnu")]), "test labels: no class gnu; the classes are cat,")
    nan = float("nan")
    refused(([*rows, (rows[0][0], nan)], rows), "different types; the label at index 27 is nan")
    refused((Frame({"path": [], "label": []}), rows), "the train table has no row")
    refused((Frame({"file": [], "label": []}), rows), "no column path; it has file, label. Rename")
    refused((Frame({"path": [nan], "label": [1]}), rows), "the path at index 0 is nan, not a path")
    refused(Frame({"path": [], "label": []}), "one table without a column split; add it, with")
    refused(Frame({**table, "split": ["train"] * 27}), "the column split never has test")
    refused(Frame({**table, "split": ["dev"] * 27}), "the column split has 'dev'; its values are")
