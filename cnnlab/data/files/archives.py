"""Wanted files out of tar archives, into memory: nothing is put where a member asks to be."""

import gzip
import io
import tarfile
from collections.abc import Collection
from pathlib import Path
from typing import Final

from cnnlab.base.errors import DataError

# The official archives unpack to 184 MB; a "tar bomb" stops here.
MAX_ARCHIVE_BYTES: Final = 1 << 30


class _BoundedReader(io.BufferedIOBase):
    """Passes reads on until `limit_bytes`: tarfile would read whatever size a header claims."""

    def __init__(self, file: io.BufferedIOBase, limit_bytes: int) -> None:
        self._file, self._left_bytes = file, limit_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0 or size > self._left_bytes:
            raise tarfile.ReadError(f"more than {MAX_ARCHIVE_BYTES} bytes unpacked")
        data = self._file.read(size)
        self._left_bytes -= len(data)
        return data


def read_tar_members(path: Path, wanted: Collection[str]) -> dict[str, bytes]:
    """Read members of a .tar.gz by their full names, passing over all others.

    Args:
        path: the archive.
        wanted: names such as "cifar-10-batches-bin/test_batch.bin".

    Returns:
        contents by name, for every name in `wanted`.

    Raises:
        DataError: damaged, too large when unpacked, or a wanted member is missing or not a
            regular file.
    """
    found: dict[str, bytes] = {}
    try:
        with path.open("rb") as packed, gzip.GzipFile(fileobj=packed) as unpacked:
            reader = _BoundedReader(unpacked, MAX_ARCHIVE_BYTES)
            with tarfile.open(
                fileobj=reader, mode="r|"
            ) as archive:  # a stream: read once, in order
                for member in archive:
                    name = member.name.removeprefix("./")
                    if name not in wanted or name in found:
                        continue
                    file = archive.extractfile(member) if member.isreg() else None
                    if file is None:
                        raise DataError(
                            f"{path}:{name} is not a regular file; get the archive again"
                        )
                    found[name] = file.read()
                    if len(found) == len(wanted):
                        break
    except DataError:
        raise
    except Exception as error:  # tarfile, gzip and zlib raise a dozen kinds on damaged archives
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path}: damaged archive ({reason}); delete it and get it again") from None
    for name in wanted:
        if name not in found:
            raise DataError(f"{path}: no {name} in this archive; delete it and get it again")
    return found
