"""Reads the pickles of CIFAR's python layout without running any code that they name."""

import io
import pickle
import pickletools
from typing import Any, Final

import numpy as np

from cnnlab.base.errors import DataError
from cnnlab.data.files.formats import CIFAR_PIXEL_BYTES, Uint8Array, one_line

_MAX_PICKLE_MEMO: Final = 1 << 20  # entries; the official files use about 20,000


class _Piece:
    """A call in a pickle, recorded instead of executed."""

    __slots__ = ("args", "kind", "state")

    def __init__(self, kind: str, args: tuple[Any, ...]) -> None:
        self.kind, self.args, self.state = kind, args, None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Global:
    """Replaces a permitted global of a pickle; calling it makes a `_Piece`."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __call__(self, *args: Any) -> _Piece:
        return _Piece(self.kind, args)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it sets the state of a global")


class _Encode(_Global):
    """Makes bytes of a text: so Python 3 writes bytes, also keys of a dict, in protocols 0 to 2."""

    __slots__ = ()

    def __call__(self, *args: Any) -> Any:
        if len(args) != 2 or args[1] not in ("latin1", b"latin1") or type(args[0]) is not str:
            raise pickle.UnpicklingError("it encodes a text in an unknown way")
        return args[0].encode("latin1")


class _ArrayUnpickler(pickle.Unpickler):
    """Reads arrays, dicts, lists, tuples, strings, bytes and numbers, and calls no function.

    Even calls of NumPy's functions are only recorded. Their arguments are checked later.
    """

    _KINDS: Final = {
        ("numpy.core.multiarray", "_reconstruct"): "array",
        ("numpy._core.multiarray", "_reconstruct"): "array",
        ("numpy.core.numeric", "_frombuffer"): "buffer",  # NumPy with pickle protocol 5
        ("numpy._core.numeric", "_frombuffer"): "buffer",
        ("numpy", "ndarray"): "ndarray",
        ("numpy", "dtype"): "dtype",
    }

    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) == ("_codecs", "encode"):
            return _Encode("bytes")
        kind = self._KINDS.get((module_name, global_name))
        if kind is None:
            raise pickle.UnpicklingError(f"it refers to {f'{module_name}.{global_name}'[:80]!a}")
        return _Global(kind)


def parse_cifar_pickle(
    data: bytes, name: str, *, label_keys: tuple[str, ...] = ("labels",)
) -> Uint8Array:
    """Read a batch of CIFAR's python layout: a pickle of `data` [n, 3072] and lists of labels.

    Args:
        data: the pickle, written by Python 2 (the official files) or 3.
        name: the file's name in error messages.
        label_keys: ("labels",) for CIFAR-10, ("coarse_labels", "fine_labels") for CIFAR-100.

    Returns:
        records, uint8 [n, len(label_keys) + 3072].

    Raises:
        DataError: the pickle is damaged, holds anything but plain data, or lacks an entry.
    """
    try:
        # The C unpickler allocates memory for the largest memo index. Ten bytes could make it take
        # 32 GB, so the indices are checked first.
        for opcode, arg, _ in pickletools.genops(data):
            if opcode.name in ("PUT", "LONG_BINPUT") and (arg or 0) > _MAX_PICKLE_MEMO:
                raise pickle.UnpicklingError(f"it has a memo index of {arg}")
        batch = _ArrayUnpickler(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a damaged pickle can raise almost any exception
        raise DataError(
            f"{name}: not a plain CIFAR pickle ({one_line(error)}), so it was not loaded; "
            f"download it again"
        ) from None
    try:
        pixels = _array_of(_entry(batch, "data"))
        if pixels.ndim != 2 or pixels.shape[1] != CIFAR_PIXEL_BYTES or not len(pixels):
            raise ValueError(
                f"data has shape {list(pixels.shape)}, expected [n, {CIFAR_PIXEL_BYTES}]"
            )
        records = np.empty((len(pixels), len(label_keys) + CIFAR_PIXEL_BYTES), np.uint8)
        for column, key in enumerate(label_keys):
            labels = _entry(batch, key)
            if not isinstance(labels, list) or len(labels) != len(pixels):
                raise ValueError(f"{key} is not a list of {len(pixels)} labels")
            for index, label in enumerate(labels):
                if type(label) is not int or not 0 <= label <= 255:
                    raise ValueError(
                        f"{key}[{index}] is {ascii(label)[:40]}, not a number in 0..255"
                    )
            records[:, column] = labels
    except ValueError as error:
        raise DataError(
            f"{name}: not a CIFAR batch: {one_line(error)}; download it again"
        ) from None
    records[:, len(label_keys) :] = pixels
    return records


def _entry(batch: Any, key: str) -> Any:
    """Return batch[key]; the key is bytes if Python 2 wrote it, and str if Python 3 did."""
    if not isinstance(batch, dict):
        raise ValueError("the pickle holds no dict")
    for spelling in (key.encode(), key):
        if spelling in batch:
            return batch[spelling]
    raise ValueError(f"no entry {key!r}")


def _array_of(piece: Any) -> Uint8Array:
    """Build the array that a pickled NumPy array describes; raise ValueError if not uint8."""
    try:
        if piece.kind == "array":  # version, shape, dtype, is_fortran, bytes
            _, shape, dtype, is_fortran, raw = piece.state
        elif piece.kind == "buffer":
            raw, dtype, shape, order = piece.args
            is_fortran = order in ("F", b"F")
        else:
            raise ValueError("data is not an array")
        if dtype.kind != "dtype" or dtype.args[0] not in ("u1", b"u1"):
            raise ValueError("data is not an array of unsigned bytes")
        # NumPy would compute a length of -1 from the data's size.
        if not all(type(length) is int and length >= 0 for length in shape):
            raise ValueError("data has no valid shape")
        return np.frombuffer(raw, np.uint8).reshape(shape, order="F" if is_fortran else "C")
    except (AttributeError, TypeError, IndexError, OverflowError) as error:
        raise ValueError(f"data is not an array ({error})") from None
