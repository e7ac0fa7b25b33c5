"""Reads chosen members of tar archives into memory and extracts nothing to the disk."""

import gzip
import io
import tarfile
from collections.abc import Collection
from pathlib import Path
from typing import Final

from cnnlab.base.errors import DataError

# The official archives unpack to 184 MB. The limit stops a "tar bomb".
MAX_ARCHIVE_BYTES: Final = 1 << 30


class _BoundedReader(io.BufferedIOBase):
    """Reads at most `limit_bytes`; tarfile alone would read any size that a header claims."""

    def __init__(self, file: io.BufferedIOBase, limit_bytes: int) -> None:
        self._file, self._left_bytes = file, limit_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0 or size > self._left_bytes:
            raise tarfile.ReadError(f"unpacks to more than {MAX_ARCHIVE_BYTES} bytes")
        data = self._file.read(size)
        self._left_bytes -= len(data)
        return data


def read_tar_members(path: Path, wanted: Collection[str]) -> dict[str, bytes]:
    """Read members of a .tar.gz by their full names and skip all others.

    Args:
        path: the archive.
        wanted: full names, such as "cifar-10-batches-bin/test_batch.bin".

    Returns:
        the content of every name in `wanted`, as {name: content}.

    Raises:
        DataError: the archive is damaged or too large when unpacked, or a wanted member is missing
            or not a regular file.
    """
    found: dict[str, bytes] = {}
    try:
        with path.open("rb") as packed, gzip.GzipFile(fileobj=packed) as unpacked:
            reader = _BoundedReader(unpacked, MAX_ARCHIVE_BYTES)
            with tarfile.open(fileobj=reader, mode="r|") as archive:  # one pass, without seeking
                for member in archive:
                    name = member.name.removeprefix("./")
                    if name not in wanted or name in found:
                        continue
                    file = archive.extractfile(member) if member.isreg() else None
                    if file is None:
                        raise DataError(
                            f"{path}:{name} is not a regular file; download the archive again"
                        )
                    found[name] = file.read()
                    if len(found) == len(wanted):
                        break
    except DataError:
        raise
    except Exception as error:  # tarfile, gzip and zlib raise a dozen kinds on damaged archives
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path}: damaged archive ({reason}); download it again") from None
    for name in wanted:
        if name not in found:
            raise DataError(f"{path}: no {name} in this archive; download it again")
    return found
