"""Pictures as a data set: what is decoded, in which order, and what is refused by name."""

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnlab.base.errors import CnnlabError, DataError, UsageError
from cnnlab.config.config import Config
from cnnlab.config.options import build
from cnnlab.data.folders.picture_set import Pictures
from cnnlab.data.image_files.images import load_image
from cnnlab.data.training_data import TrainingData
from cnnlab.run.disk.config_file import resolve_for_run
from tests.data.folders.pictures import write, write_folder


def config(**options: Any) -> Config:
    return build(Config, {"dataset": "folder:p", "batch_size": 2, **options})


def test_every_format_is_read_by_content_and_in_order_of_name() -> None:
    endings = ("png", "jpg", "gif", "bmp", "webp", "tiff")
    write_folder("p", {"train/a": 6, "train/b": 6, "val/b": 3, "test/a": 2}, endings)
    Path("p/train/a/5.tiff").rename("p/train/a/5.jpg")
    data = TrainingData(config(image_size="9,8"), None)
    assert data.spec.image_shape == (9, 8, 3)
    assert data.spec.class_names == ("a", "b")
    assert data.num_train == 12
    train = data.split("train")
    files = data.files_of("train")
    assert files is not None
    assert [file.split("p/")[-1] for file in files[:3]] == [
        "train/a/0.png",
        "train/a/1.jpg",
        "train/a/2.gif",
    ]
    assert train.images.dtype == np.uint8
    assert train.labels.tolist() == [0] * 6 + [1] * 6
    for image, file in zip(train.images, files, strict=True):
        assert np.array_equal(image, load_image(file, (9, 8, 3)))
    assert data.split("validation").labels.tolist() == [1] * 3
    assert data.split("test").labels.tolist() == [0] * 2


def test_the_size_of_all_pictures_is_the_default() -> None:
    write_folder("p", {"a": 3, "b": 3})
    assert TrainingData(config(color_mode="grayscale"), None).spec.image_shape == (10, 12, 1)
    write("p/b/x.png", size=(7, 7))
    with pytest.raises(UsageError, match=r"7 x 7 pixels.* choose one height and width for all"):
        TrainingData(config(), None)


def test_validation_is_part_of_training_and_does_not_depend_on_the_seed() -> None:
    write_folder("p", {"a": 20, "b": 20})
    found = [
        TrainingData(config(validation_split=0.25, test_split=0.2, seed=seed), None)
        for seed in (1, 2)
    ]
    for data in found:
        assert [len(data.split(name).labels) for name in ("train", "validation", "test")] == [
            24,
            8,
            8,
        ]
        assert data.num_train == 24
    assert found[0].files_of("validation") == found[1].files_of("validation")


def test_without_a_validation_set_the_test_set_serves() -> None:
    write_folder("p", {"a": 10, "b": 10})
    data = TrainingData(config(), None)
    assert data.split("validation") is data.split("test")
    assert data.files_of("validation") == data.files_of("test")
    with pytest.raises(UsageError, match=r"--restore_best needs a validation set"):
        TrainingData(config(restore_best=True), None)


def test_the_set_of_evaluations_during_training() -> None:
    write_folder("p", {"train/a": 4, "train/b": 4, "val/a": 1, "val/b": 1})
    write_folder("p", {"test/a": 30, "test/b": 10})
    data = TrainingData(config(validate_on="test"), None)
    assert data.chosen("validation") is data.split("validation")
    assert len(data.split("validation").labels) == 2
    some = data.chosen("test", 8)
    assert some.labels.tolist() == [0] * 6 + [1] * 2  # evenly from the sorted pictures
    np.testing.assert_array_equal(some.images, data.split("test").images[::5])
    assert len(data.chosen("test", 41).labels) == 40
    given = data.chosen((some.images, some.labels), 7)
    np.testing.assert_array_equal(given.images, some.images[:7])
    with pytest.raises(
        UsageError, match=r"--restore_best needs a val.*; leave out --validate_on=t"
    ):
        TrainingData(config(validate_on="test", restore_best=True), None)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def huge(path: Path) -> None:
    Image.new("1", (8_000, 8_000)).save(path, "PNG")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (truncated, "p/a/0.jpg cannot be read as an image: image file is truncated"),
        (lambda path: path.write_text("hello"), "p/a/0.jpg is not an image that can be read"),
        (lambda path: path.write_bytes(b""), "p/a/0.jpg is not an image that can be read"),
        (huge, "p/a/0.jpg has 8000 x 8000 pixels"),
    ],
)
def test_a_picture_that_cannot_be_read(spoil: Any, message: str) -> None:
    write_folder("p", {"a": 6, "b": 6})
    write("p/a/0.jpg", size=(90, 90))
    spoil(Path("p/a/0.jpg"))
    data = TrainingData(config(image_size=8), None)
    with pytest.raises(DataError, match=f"{message}.*; .*--bad_files=skip"):
        data.split(next(one.split or "" for one in Pictures(config(image_size=8)).found))
    data = TrainingData(config(image_size=8, bad_files="skip"), None)
    assert data.spec.skipped == (os.path.abspath("p/a/0.jpg"),)
    assert data.spec.num_train + data.spec.num_test == 11
    assert data.num_train == len(data.split("train").labels)
    for split in ("train", "test"):
        assert os.path.abspath("p/a/0.jpg") not in (data.files_of(split) or [])


def test_skipping_needs_a_picture_of_each_class() -> None:
    write_folder("p", {"train/a": 1, "train/b": 3, "test/b": 2})
    Path("p/train/a/0.jpg").write_text("x")
    data = TrainingData(config(image_size=8, bad_files="skip"), None)
    with pytest.raises(DataError, match="no picture of the class a can be read"):
        _ = data.spec


def test_a_picture_that_vanishes() -> None:
    write_folder("p", {"a": 6, "b": 6})
    data = TrainingData(config(image_size=8), None)
    for path in Path("p/a").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"no image file .*p/a/"):
        data.split("train")


def test_pictures_that_need_too_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder("p", {"a": 6, "b": 6})
    real = os.sysconf
    monkeypatch.setattr(os, "sysconf", lambda name: 1 if name == "SC_PHYS_PAGES" else real(name))
    with pytest.raises(DataError, match=r"12 pictures of 9000 x 9000 x 3 need [45]"):
        _ = TrainingData(config(image_size=9000, cache="memory"), None).fingerprints()


def test_a_run_refuses_the_split_of_other_pictures() -> None:
    write_folder("p", {"a": 10, "b": 10})
    spec = TrainingData(config(), None).spec
    run = TrainingData(config(), None, spec)
    assert not run.is_absent
    assert len(run.split("test").labels) == 4
    write("p/a/new.png")
    with pytest.raises(CnnlabError, match="other pictures than when the run began"):
        TrainingData(config(), None, spec).split("test")
    write_folder("p", {"c": 3})
    with pytest.raises(CnnlabError, match="other classes than the run: a, b, c"):
        TrainingData(config(test_split=0.5), None, spec).split("test")
    assert TrainingData(config(), None, spec).spec is spec  # needs no picture


def test_a_table_and_a_path_of_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder("p", {"x": 8})
    lines = [f"x/{i}.{('jpg', 'png')[i % 2]},{'ab'[i % 2]}\n" for i in range(8)]
    Path("p/t.csv").write_text("path,label\n" + "".join(lines))
    options = config(dataset="list:p/t.csv", test_split=0.5)
    assert options.dataset == f"list:{os.path.abspath('p/t.csv')}"
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert TrainingData(options, None).split("train").labels.tolist().count(0) == 2


def test_a_table_of_numbers_to_predict(capsys: pytest.CaptureFixture[str]) -> None:
    write_folder("p", {"x": 8})
    names = [f"x/{i}.{('jpg', 'png')[i % 2]}" for i in range(8)]
    for column, numbers in {
        "value_age": "0.5 1 2 3 4 5 6 7",
        "label": "1.5 2 2 1.5 2 2 1.5 2",
    }.items():
        rows = "".join(f"{one},{n}\n" for one, n in zip(names, numbers.split(), strict=True))
        Path(f"p/{column}.csv").write_text(f"path,{column}\n{rows}")
    given = {"dataset": "list:p/value_age.csv", "test_split": 0.25, "loss": "mse", "batch_size": 2}
    options = resolve_for_run(given)
    assert (options.monitor, options.output) == ("loss", "linear")
    data = TrainingData(options, None)
    data.check_options()
    assert (data.spec.targets, data.spec.class_names) == ("values", ("age",))
    train, test = data.split("train").labels, data.split("test").labels
    assert (train.dtype, train.shape, test.shape) == (np.float32, (6, 1), (2, 1))
    assert sorted([*train[:, 0], *test[:, 0]]) == [0.5, 1, 2, 3, 4, 5, 6, 7]
    assert data.split("train").images[[]].shape == (0, 10, 12, 3)
    with pytest.raises(UsageError, match="--monitor=accuracy: the labels are real values"):
        resolve_for_run({**given, "monitor": "accuracy"})
    with pytest.raises(UsageError, match=r"numbers, such as 1\.5, .* in the column value instead"):
        TrainingData(config(dataset="list:p/label.csv", loss="mse"), None).check_options()
    text = Path("p/label.csv").read_text().replace("1.5", "1")
    Path("p/label.csv").write_text(text)
    TrainingData(config(dataset="list:p/label.csv", loss="mse"), None).check_options()
    assert "note: the 2 different numbers in the column label are" in capsys.readouterr().err


def test_a_bad_header_is_refused_or_skipped_where_sizes_are_compared() -> None:
    write_folder("p", {"a": 6, "b": 6})
    Path("p/a/0.jpg").write_text("hello")
    with pytest.raises(DataError, match=r"p/a/0\.jpg is not an image .*--bad_files=skip"):
        TrainingData(config(), None)
    spec = TrainingData(config(bad_files="skip"), None).spec
    assert spec.image_shape == (10, 12, 3)
    assert spec.skipped == (os.path.abspath("p/a/0.jpg"),)


def test_a_path_without_its_kind() -> None:
    write_folder("p", {"a": 1})
    with pytest.raises(UsageError, match="for pictures in p, write --dataset=folder:p"):
        TrainingData(config(dataset="p"), None)


def test_a_giant_is_refused_before_it_is_decoded() -> None:
    write_folder("p", {"a": 6, "b": 6})
    content = io.BytesIO()
    Image.new("1", (8, 8)).save(content, "PNG")
    head = b"IHDR" + struct.pack(">II", 60_000, 60_000) + content.getvalue()[24:29]
    giant = content.getvalue()[:12] + head + struct.pack(">I", zlib.crc32(head))
    for path in Path("p/a").iterdir():
        path.write_bytes(giant + content.getvalue()[33:])
    with pytest.raises(DataError, match=r"p/a/\d\.\w+ .*(60000 x 60000|3600000000) pixels"):
        TrainingData(config(image_size=8), None).split("train")


def test_the_first_frame_of_a_film(capsys: pytest.CaptureFixture[str]) -> None:
    write_folder("p", {"a": 2, "b": 2})
    frames = [Image.new("RGB", (9, 9), (i % 256, 200, 0)) for i in range(300)]
    for path in Path("p/a").iterdir():
        frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])
    train = TrainingData(config(image_size=9, test_split=0.5, batch_size=1), None).split("train")
    assert np.abs(train.images[0].astype(int) - [0, 200, 0]).max() <= 2
    note = "note: 1 pictures have several frames, and only the first is used, such as "
    assert note in capsys.readouterr().err
