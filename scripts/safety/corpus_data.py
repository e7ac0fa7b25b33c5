"""Bad data files, and the commands that read them."""

import os
import pickle
import random
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scripts.safety import fakes
from scripts.safety.cases import CODES_REFUSED, Case, writer


def _tar(*members: tarfile.TarInfo) -> bytes:
    return fakes.tar_gz({str(i): member for i, member in enumerate(members)})


def _member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, size
    return member


def data_files() -> Iterator[Case]:
    """Yield data sets with bad files."""
    wanted = "cifar-10-batches-bin/data_batch_1.bin"
    archives = {
        "parent": _tar(_member("../../{pwned}")),
        "absolute": _tar(_member("/tmp/pwned")),
        "link": _tar(_member(wanted, tarfile.SYMTYPE, "/etc/passwd")),
        "hard link": _tar(_member(wanted, tarfile.LNKTYPE, "/etc/passwd")),
        "device": _tar(_member(wanted, tarfile.CHRTYPE)),
        "pipe": _tar(_member(wanted, tarfile.FIFOTYPE)),
        "folder": _tar(_member(wanted, tarfile.DIRTYPE)),
        "no gzip": b"not an archive",
        "empty": b"",
        "cut": _tar(_member(wanted))[:30],
        "wrong size": fakes.tar_gz({wanted: b"abc"}),
        "gzip bomb": fakes.gzipped(bytes(50_000_000)),
    }
    for layout in ("binary", "python"):
        for name, content in archives.items():
            words = ("train", "--data_dir={folder}/d", "--save_dir={folder}/new", "--steps=1")
            write = writer(f"d/cifar-10-{layout}.tar.gz", content)
            yield Case(f"cifar {layout} archive: {name}", write, words, CODES_REFUSED)
    idx = {
        "terabytes": struct.pack(">IIII", 0x803, 2**31 - 1, 2**15, 2**15),
        "labels for images": struct.pack(">II", 0x801, 60000) + bytes(60000),
        "empty": b"",
        "cut header": b"\0\0\x08",
        "floats": struct.pack(">IIII", 0xD03, 1, 28, 28) + bytes(3136),
        "no images": struct.pack(">IIII", 0x803, 0, 28, 28),
        "too short": struct.pack(">IIII", 0x803, 60000, 28, 28) + bytes(784),
        "too long": struct.pack(">IIII", 0x803, 1, 28, 28) + bytes(7840),
        "other size": struct.pack(">IIII", 0x803, 60, 9, 9) + bytes(4860),
        "noise": random.Random(2).randbytes(5000),
    }
    words = (
        *("train", "--dataset=mnist", "--data_dir={folder}/d", "--save_dir={folder}/new"),
        *("--model=mnist_perceptron", "--steps=1", "--verify_data=False", "--batch_size=1"),
    )
    good = fakes.fake_files("mnist")
    for name, content in idx.items():
        for packed in (False, True):

            def write(folder: Path, content: bytes = content, packed: bool = packed) -> None:
                files = {**good, "train-images-idx3-ubyte": content}
                if packed:
                    files = {f"{key}.gz": fakes.gzipped(value) for key, value in files.items()}
                fakes.write_files(folder / "d" / "mnist", files)

            yield Case(f"idx: {name}{' in gzip' * packed}", write, words, CODES_REFUSED)
    gz_bomb = {**{f"{k}.gz": fakes.gzipped(v) for k, v in good.items()}}
    gz_bomb["train-images-idx3-ubyte.gz"] = fakes.gzipped(idx["terabytes"] + bytes(200_000_000))
    yield Case(
        "idx: gzip bomb",
        lambda folder: fakes.write_files(folder / "d" / "mnist", gz_bomb),
        words,
        CODES_REFUSED,
    )
    objects = np.array([{"a": 1}], dtype=object)
    some = np.zeros((4, 28, 28), np.uint8)
    packs = {
        "objects": fakes.npz(x_train=objects, y_train=objects, x_test=objects, y_test=objects),
        "one key": fakes.npz(x_train=some),
        "floats": fakes.npz(x_train=some / 2, y_train=some[:, 0, 0], x_test=some, y_test=some),
        "no zip": b"PK\x03\x04 not a zip",
        "empty": b"",
        "member no array": fakes.zipped("x_train.npy", b"hello"),
    }
    for name, content in packs.items():
        write = writer("d/mnist.npz", content)
        yield Case(f"npz: {name}", write, words, CODES_REFUSED)
    pickles = {
        "os.system": pickle.dumps(fakes.Bomb(os.system, "touch {pwned}")),
        "eval": pickle.dumps(fakes.Bomb(eval, "1")),
        "numpy.fromfile": pickle.dumps({"data": fakes.Bomb(np.fromfile, "/etc/passwd")}),
        "deep": b"(" * 100_000 + b".",
        "huge": b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x.",
        "empty": b"",
        "no dict": pickle.dumps([1, 2]),
        "no data": pickle.dumps({"labels": [1]}),
        "noise": random.Random(3).randbytes(500),
    }
    python_words = ("train", "--data_dir={folder}/d", "--save_dir={folder}/new", "--steps=1")
    for name, content in pickles.items():

        def write_all(folder: Path, content: bytes = content) -> None:
            names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
            files = dict.fromkeys(names, content)
            fakes.write_files(folder / "d" / "cifar-10-batches-py", files)

        yield Case(f"pickle: {name}", write_all, python_words, CODES_REFUSED)
