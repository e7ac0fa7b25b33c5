"""Reading many image files: order, batches, bad files, and how much is prefetched."""

import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.base.errors import DataError
from cnnlab.data.image_files import image_reader
from cnnlab.data.image_files.image_reader import CHUNK, read_images
from cnnlab.data.image_files.images import load_image

SHAPE = (4, 5, 3)


@pytest.fixture
def files() -> list[str]:
    """Write 70 small images whose red value is their number."""
    names = [f"{number}.png" for number in range(70)]
    for number, name in enumerate(names):
        Image.new("RGB", (5, 4), (number, 0, 9)).save(name)
    return names


def numbers(images: np.ndarray) -> list[int]:
    return images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("batch_size", [1, 16, 33, 70, 500])
def test_order_and_batches(batch_size: int, files: list[str]) -> None:
    batches = list(read_images(files, SHAPE, batch_size, pytest.fail))
    assert [n for batch in batches for n in numbers(batch.images)] == list(range(70))
    assert [file for batch in batches for file in batch.files] == files
    sizes = [len(batch.images) for batch in batches]
    assert sum(sizes) == 70
    assert set(sizes[:-1]) <= {batch_size}
    assert sizes[-1] <= batch_size
    assert batches[0].images.shape[1:] == SHAPE
    assert batches[0].images.dtype == np.uint8


def test_bad_files_are_reported_in_order_and_skipped(files: list[str]) -> None:
    for number in (0, 20, 21, 69):
        Path(files[number]).write_text("no image")
    errors: list[str] = []
    main = threading.current_thread()

    def on_bad(error: DataError) -> None:
        assert threading.current_thread() is main
        errors.append(str(error).split()[0])

    batches = list(read_images(files, SHAPE, 20, on_bad))
    assert errors == ["0.png", "20.png", "21.png", "69.png"]
    assert [len(batch.files) for batch in batches] == [20, 20, 20, 6]
    assert all(numbers(b.images) == [int(f[:-4]) for f in b.files] for b in batches)


def test_only_bad_files() -> None:
    errors: list[DataError] = []
    assert list(read_images(["x", "y"], SHAPE, 4, errors.append)) == []
    assert [str(error) for error in errors] == ["no image file x", "no image file y"]
    assert list(read_images([], SHAPE, 4, pytest.fail)) == []


def test_on_bad_may_raise(files: list[str]) -> None:
    def refuse(error: DataError) -> None:
        raise error

    before = threading.active_count()
    with pytest.raises(DataError, match="no image file gone"):
        list(read_images([*files, "gone"], SHAPE, 8, refuse))
    assert threading.active_count() == before


def test_only_a_few_batches_are_prefetched(
    files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few of a million paths are taken, and their files are read while the caller waits."""
    taken, read = [0], [0]
    lock = threading.Lock()

    def paths() -> Iterator[str]:
        for number in range(10**6):
            taken[0] = number + 1
            yield files[number % 70]

    def counted(path: str, shape: tuple[int, int, int], _resizing: object) -> np.ndarray:
        with lock:
            read[0] += 1
        return load_image(path, shape)

    monkeypatch.setattr(image_reader, "read_image", counted)
    monkeypatch.setattr(image_reader.os, "cpu_count", lambda: 2)
    batches = read_images(paths(), SHAPE, 40, pytest.fail)
    next(batches)
    most = 2 * 40 + 2 * CHUNK + 40
    assert taken[0] <= most
    deadline = time.monotonic() + 20
    while read[0] < 80 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert 80 <= read[0] <= taken[0] <= most
    before = threading.active_count()
    batches.close()
    assert threading.active_count() < before


def test_threads_restore_the_warning_filters(files: list[str]) -> None:
    """Pillow's warnings are silent in all threads; in these tests a warning is an error."""
    # Pillow warns about a JPEG file with truncated metadata.
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 1, "x" * 50
    Image.new("RGB", (5, 4)).save("odd.jpg", exif=exif.tobytes()[:-40])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Image.open("odd.jpg") as image:
            image.getexif()
    assert caught
    before = list(warnings.filters)
    mixed = [name for file in files for name in (file, "odd.jpg")]
    read = sum(len(batch.files) for batch in read_images(mixed, SHAPE, 10, pytest.fail))
    assert read == 140
    assert warnings.filters == before
