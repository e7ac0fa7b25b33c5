"""Data sets loaded by name from every file layout, and the checks of their files."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnnlab.base.errors import DataError
from cnnlab.data.datasets import Dataset, Split, load_dataset, part_of
from cnnlab.data.files import formats, sources
from cnnlab.data.specs import OFFICIAL_FILES
from tests.data import fakes

Files = dict[str, bytes]


def small(monkeypatch: pytest.MonkeyPatch, name: str) -> Files:
    """Replace the table of official files by small fakes, and return their contents."""
    files = fakes.fake_files(name)
    monkeypatch.setitem(OFFICIAL_FILES, name, fakes.official_table(name, files))
    return files


def to_python(files: Files, pickled: Callable[[np.ndarray], bytes]) -> Files:
    return {
        name.removesuffix(".bin"): pickled(np.frombuffer(data, np.uint8).reshape(fakes.RECORDS, -1))
        for name, data in files.items()
    }


def to_npz(files: Files, label_type: type = np.uint8) -> bytes:
    keys = ("x_train", "y_train", "x_test", "y_test")
    arrays = [
        formats.parse_idx(data, name, ndim=3 if "images" in name else 1)
        for name, data in files.items()
    ]
    typed = [a if a.ndim == 3 else a.astype(label_type) for a in arrays]
    return fakes.npz(**dict(zip(keys, typed, strict=True)))


def archived(files: Files, folder: str) -> bytes:
    return fakes.tar_gz({f"{folder}/{name}": data for name, data in files.items()})


def assert_is_cifar(data: Dataset, files: Files, label_at: int, label_bytes: int) -> None:
    records = [np.frombuffer(d, np.uint8).reshape(fakes.RECORDS, -1) for d in files.values()]
    for split, of_split in (
        (data.train, np.concatenate(records[:-1])),
        (data.test, records[-1]),
    ):
        assert split.labels.tolist() == of_split[:, label_at].tolist()
        assert split.labels.dtype == np.int32
        assert split.images.dtype == np.uint8
        assert split.images.flags.c_contiguous
        for image, record in zip(split.images, of_split, strict=True):
            for channel in range(3):
                plane = record[label_bytes + 1024 * channel : label_bytes + 1024 * (channel + 1)]
                assert image[:, :, channel].tobytes() == plane.tobytes()
    assert (data.spec.num_train, data.spec.num_test) == (len(data.train[1]), len(data.test[1]))


CIFAR10_LAYOUTS: dict[str, Callable[[Files], Files]] = {
    "cifar-10-batches-bin": dict,
    "cifar10": dict,
    "cifar10/cifar-10-batches-bin": dict,
    ".": dict,
    "cifar-10-batches-py": lambda files: to_python(files, fakes.python2_layout),
    "cifar10/cifar-10-batches-py": lambda files: to_python(files, fakes.python_layout),
    "./": lambda files: {
        "cifar-10-binary.tar.gz": archived(files, "cifar-10-batches-bin"),
    },
    "cifar10/": lambda files: {
        "cifar-10-python.tar.gz": archived(
            to_python(files, fakes.python2_layout), "cifar-10-batches-py"
        ),
    },
    # Keras 3 and tf_keras, below ~/.keras/datasets and ~/.keras.
    "cifar-10-batches-py-target/cifar-10-batches-py": (
        lambda files: to_python(files, fakes.python2_layout)
    ),
    "datasets/cifar-10-batches-py": lambda files: to_python(files, fakes.python2_layout),
    "datasets": lambda files: {
        "cifar-10-batches-py-target_archive": archived(
            to_python(files, fakes.python2_layout), "cifar-10-batches-py"
        ),
    },
    "datasets/": lambda files: {
        "cifar-10-batches-py.tar.gz": archived(
            to_python(files, fakes.python2_layout), "cifar-10-batches-py"
        ),
    },
}


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("folder", CIFAR10_LAYOUTS)
def test_cifar10_in_every_layout(
    folder: str, verify: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small(monkeypatch, "cifar10")
    fakes.write_files(tmp_path / folder, CIFAR10_LAYOUTS[folder](files))
    data = load_dataset("cifar10", tmp_path, verify=verify, fetch=False)
    assert_is_cifar(data, files, label_at=0, label_bytes=1)
    assert data.spec.class_names[:2] == ("airplane", "automobile")


@pytest.mark.parametrize("layout", ["binary", "python", "keras", "tar"])
@pytest.mark.parametrize("label_mode", ["fine", "coarse"])
def test_cifar100_in_every_layout(
    layout: str, label_mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small(monkeypatch, "cifar100")
    if layout == "binary":
        fakes.write_files(tmp_path / "cifar-100-binary", files)
    elif layout in ("python", "keras"):
        folder = "cifar-100-python"
        folder = folder if layout == "python" else f"{folder}-target/{folder}"
        fakes.write_files(tmp_path / folder, to_python(files, fakes.python_layout))
    else:
        packed = archived(files, "cifar-100-binary")
        fakes.write_files(tmp_path, {"cifar-100-binary.tar.gz": packed})
    data = load_dataset("cifar100", tmp_path, label_mode=label_mode, fetch=False)
    assert_is_cifar(data, files, label_at=int(label_mode == "fine"), label_bytes=2)
    assert data.spec.num_classes == (100 if label_mode == "fine" else 20)


MNIST_LAYOUTS: dict[str, Callable[[Files], Files]] = {
    "mnist": dict,
    "MNIST/raw": lambda files: {f"{k}.gz": fakes.gzipped(v) for k, v in files.items()},
    ".": lambda files: {k.replace("-idx", ".idx"): v for k, v in files.items()},
    "./": lambda files: {"mnist.npz": to_npz(files)},
    "mnist/": lambda files: {"mnist.npz": to_npz(files, np.int64)},
    "datasets": lambda files: {"mnist.npz": to_npz(files)},  # Keras's cache, ~/.keras
}


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("folder", MNIST_LAYOUTS)
def test_mnist_in_every_layout(
    folder: str, verify: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small(monkeypatch, "mnist")
    fakes.write_files(tmp_path / folder, MNIST_LAYOUTS[folder](files))
    data = load_dataset("mnist", str(tmp_path), verify=verify, fetch=False)
    for split, which in ((data.train, "train"), (data.test, "t10k")):
        assert split.images.shape == (fakes.RECORDS, 28, 28, 1)
        assert split.images.tobytes() == files[f"{which}-images-idx3-ubyte"][16:]
        assert bytes(split.labels.tolist()) == files[f"{which}-labels-idx1-ubyte"][8:]
        assert split.labels.dtype == np.int32
        assert split.images.flags.writeable


def test_fashion_mnist_has_its_own_folder_and_mnist_files_there_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small(monkeypatch, "mnist")
    table = [official._replace(sha256=None) for official in OFFICIAL_FILES["mnist"]]
    monkeypatch.setitem(OFFICIAL_FILES, "fashion_mnist", tuple(table))
    fakes.write_files(tmp_path / "mnist", files)
    with pytest.raises(DataError, match=f"no files of fashion_mnist in {tmp_path}; .*shapes$"):
        load_dataset("fashion_mnist", tmp_path, fetch=False)
    fakes.write_files(tmp_path / "FashionMNIST" / "raw", files)
    with pytest.raises(DataError, match="this is mnist, not fashion_mnist"):
        load_dataset("fashion_mnist", tmp_path, fetch=False)
    (tmp_path / "FashionMNIST").rename(tmp_path / "moved")
    packed = {f"{name}.gz": fakes.gzipped(data) for name, data in files.items()}
    fakes.write_files(tmp_path / "datasets/fashion-mnist", packed)  # Keras's cache, ~/.keras
    with pytest.raises(DataError, match=r"datasets/fashion-mnist/.*: this is mnist"):
        load_dataset("fashion_mnist", tmp_path, fetch=False)


# Wrong files


def test_missing_file_of_a_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = small(monkeypatch, "cifar10")
    folder = tmp_path / "cifar-10-batches-bin"
    fakes.write_files(folder, files)
    (folder / "data_batch_4.bin").unlink()
    with pytest.raises(DataError) as error:
        load_dataset("cifar10", tmp_path)
    assert str(error.value) == (
        f"{folder}/data_batch_4.bin is missing ({folder} has 5 of the 6 files of cifar10); "
        f"fetch it with python -m cnnlab.data fetch cifar10 --data_dir={tmp_path}"
    )
    fakes.write_files(tmp_path / "cifar10", files)  # another folder has all files
    load_dataset("cifar10", tmp_path)


@pytest.mark.parametrize("folder", ["cifar-10-batches-bin", "cifar-10-batches-py", "cifar10/"])
def test_changed_pixel_names_the_file_and_both_checksums(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small(monkeypatch, "cifar10")
    right = files["data_batch_5.bin"]
    wrong = right[:-1] + bytes([right[-1] ^ 1])
    written = CIFAR10_LAYOUTS[folder](files | {"data_batch_5.bin": wrong})
    fakes.write_files(tmp_path / folder, written)
    with pytest.raises(DataError) as error:
        load_dataset("cifar10", tmp_path, fetch=False)
    file = {
        "cifar-10-batches-bin": "cifar-10-batches-bin/data_batch_5.bin",
        "cifar-10-batches-py": "cifar-10-batches-py/data_batch_5",
        "cifar10/": "cifar10/cifar-10-python.tar.gz:cifar-10-batches-py/data_batch_5",
    }[folder]
    message = str(error.value)
    assert message.startswith(
        f"{tmp_path / file}: expected SHA-256 {hashlib.sha256(right).hexdigest()}, "
    )
    assert hashlib.sha256(wrong).hexdigest() in message
    assert "--verify_data=False" in message
    assert "\n" not in message
    load_dataset("cifar10", tmp_path, fetch=False, verify=False)


def test_truncated_file_is_reported_by_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small(monkeypatch, "cifar10")
    short = files["data_batch_1.bin"][:-3073]
    fakes.write_files(tmp_path, files | {"data_batch_1.bin": short})
    with pytest.raises(DataError, match=r"/data_batch_1.bin: expected 12292 bytes, found 9219;"):
        load_dataset("cifar10", tmp_path)
    data = load_dataset("cifar10", tmp_path, verify=False)  # three records are whole records
    assert data.spec.num_train == 5 * fakes.RECORDS - 1


def test_without_verify_any_number_of_records_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small(monkeypatch, "cifar10")
    files["data_batch_2.bin"] *= 3  # more than was allocated at first
    fakes.write_files(tmp_path, files)
    data = load_dataset("cifar10", tmp_path, verify=False)
    assert data.spec.num_train == 7 * fakes.RECORDS
    expected = b"".join(files[name][0:1] for name in files if name != "test_batch.bin")
    firsts = [0, 4, 16, 20, 24]
    assert bytes(data.train.labels[firsts].tolist()) == expected


@pytest.mark.parametrize("verify", [True, False])
def test_label_out_of_range(verify: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = small(monkeypatch, "cifar10")
    test_batch = bytearray(files["test_batch.bin"])
    test_batch[2 * 3073] = 77
    fakes.write_files(tmp_path, files | {"test_batch.bin": bytes(test_batch)})
    with pytest.raises(DataError, match=r"test_batch\.bin: label 77 at index 2 is outside 0\.\.9"):
        load_dataset("cifar10", tmp_path, verify=verify)


def test_different_numbers_of_labels_and_images_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small(monkeypatch, "mnist")
    labels = formats.idx_header((3,)) + bytes(3)
    fakes.write_files(tmp_path, files | {"train-labels-idx1-ubyte": labels})
    with pytest.raises(DataError, match="train-labels-idx1-ubyte: 3 labels for 4 images"):
        load_dataset("mnist", tmp_path, verify=False)


def test_wrong_image_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = small(monkeypatch, "mnist")
    images = formats.idx_header((4, 14, 14)) + bytes(4 * 196)
    fakes.write_files(tmp_path, files | {"train-images-idx3-ubyte": images})
    with pytest.raises(DataError, match="expected 4 x 28 x 28 values, found 4 x 14 x 14"):
        load_dataset("mnist", tmp_path, verify=False)


def test_missing_files_are_fetched_only_with_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small(monkeypatch, "cifar10")
    source = sources.Source("here", lambda work, progress: iter(files.items()))
    monkeypatch.setitem(sources.SOURCES, "cifar10", (source,))
    with pytest.raises(DataError) as error:
        load_dataset("cifar10", tmp_path, fetch=False)
    assert str(error.value) == (
        f"no files of cifar10 in {tmp_path}; set --data_dir to their folder, or fetch them with "
        f"python -m cnnlab.data fetch cifar10 --data_dir={tmp_path}, or use --dataset=shapes"
    )
    assert_is_cifar(load_dataset("cifar10", tmp_path), files, label_at=0, label_bytes=1)


def test_the_parts_of_a_split_in_turn() -> None:
    split = Split(np.arange(7) * 10, np.arange(7))
    parts = [part_of(split, 3, turn).labels.tolist() for turn in range(4)]
    assert parts == [[0, 1, 2], [3, 4, 5], [6, 0, 1], [2, 3, 4]]
    assert part_of(split, 3, 2).images.tolist() == [60, 0, 10]
    spread = [part_of(split, 3, turn, is_sorted=True).labels.tolist() for turn in range(3)]
    assert spread == [[0, 2, 4], [1, 3, 5], [6, 0, 2]]  # no image twice before all had a turn
    assert part_of(split, 7, 2) is part_of(split, None, 5) is split
