"""Features of all images of a split: computed once by the base of a network, and stored.

FEATURES_DIR/
    vgg16-train-2000-KEY.npy    float32 [n, features], in the order of the images

KEY is a digest of everything that the features depend on: the pixels, the values of the base's
weights, and the operations of the base, which include how the pixels are prepared. So a changed
picture or other weights have another KEY. A file is complete or absent.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import NonFiniteError
from cnnlab.base.files import replacing, translate_os_errors
from cnnlab.base.printing import is_quiet, print_lines
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import tf, translate_op_errors

_WIDEST_BATCH_BYTES: Final = 2**26  # of one layer's output
_BAR_AFTER_SECS: Final = 2
_VERSION: Final = "1"  # another layout of the files

Features = npt.NDArray[np.float32]


class Stored(NamedTuple):
    """The features of one split.

    path: the file.
    values: float32 [n, features], in the order of the images.
    secs: how long they took to compute; None if they were stored already.
    """

    path: Path
    values: Features
    secs: float | None


class Base:
    """The layers before the head of a network, with the weights of a session."""

    def __init__(self, name: str, session: Any, images_ph: Any, features: Any) -> None:
        """Read the values of the base's variables.

        Args:
            name: of the network, for the names of files.
            session: a `tf.Session` with the weights.
            images_ph: placeholder of the images [n, height, width, channels].
            features: float32 [n, features], the base's output.
        """
        self._name = re.sub(r"\W", "_", name)
        self._session, self._images_ph, self._features = session, images_ph, features
        self._digest: str | None = None

    @property
    def size(self) -> int:
        """The number of features of an image."""
        return int(self._features.shape[1])

    def stored(self, folder: Path, split: str, images: npt.NDArray[Any]) -> Stored:
        """Return the features of a split; compute and store them if they are not there.

        Args:
            folder: the folder of stored features; is made if needed.
            split: the name of the split, for the name of the file.
            images: [n, height, width, channels], of the type and range of the run's images.

        Raises:
            CnnlabError: the folder cannot be written, or the disk is full.
            NonFiniteError: a feature is not finite.
        """
        key = self._key(images)
        path = folder / f"{self._name}-{split}-{len(images)}-{key}.npy"
        found = _load(path, (len(images), self.size))
        if found is not None:
            return Stored(path, found, None)
        start = time.perf_counter()
        with translate_os_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        values = np.empty((len(images), self.size), np.float32)
        filled = 0
        for batch in self._computed(split, images):
            values[filled : filled + len(batch)] = batch
            filled += len(batch)
        secs = time.perf_counter() - start
        with replacing(path) as file:
            np.lib.format.write_array(file, values, allow_pickle=False)
        return Stored(path, values, secs)

    def compute(self, images: npt.NDArray[Any]) -> Features:
        """Return the features of some images, float32 [n, features], without storing them."""
        with translate_op_errors("the base"):
            found: Features = self._session.run(self._features, {self._images_ph: images})
        return found

    def _computed(self, split: str, images: npt.NDArray[Any]) -> Iterator[Features]:
        from tqdm import tqdm

        size = self._batch_size()
        with tqdm(
            desc=f"features of {split}",
            total=len(images),
            leave=False,
            delay=_BAR_AFTER_SECS,
            disable=True if is_quiet() else None,
            unit=" images",
        ) as bar:
            for start in range(0, len(images), size):
                batch = self.compute(images[start : start + size])
                if not np.isfinite(batch).all():
                    raise NonFiniteError(
                        f"features of the {split} set are not finite: the base's weights have "
                        "diverged, or its --scaling is wrong"
                    )
                bar.update(len(batch))
                yield batch

    def _batch_size(self) -> int:
        """Return how many images to compute at a time, so that no layer's output is too large."""
        shapes = [output.shape for op in self._operations() for output in op.outputs]
        of_images = [s[1:].num_elements() for s in shapes if s.rank and s.as_list()[0] is None]
        largest = max([1, *(size for size in of_images if size)])
        return max(1, min(500, _WIDEST_BATCH_BYTES // (4 * largest)))

    def _key(self, images: npt.NDArray[Any]) -> str:
        """Return the digest of everything that the features of these images depend on."""
        if self._digest is None:
            self._digest = self._digest_of_base()
        total = hashlib.blake2b(self._digest.encode(), digest_size=16)
        total.update(f"{images.dtype.str} {images.shape}".encode())
        for start in range(0, len(images), 500):  # an array on the disk is read in parts
            total.update(images[start : start + 500].tobytes())
        return total.hexdigest()

    def _digest_of_base(self) -> str:
        graph, operations = self._features.graph, self._operations()
        total = hashlib.blake2b(f"{_VERSION} {tf.__version__}".encode())
        for op in sorted(operations, key=lambda op: op.name):
            node = op.node_def
            total.update(node.SerializeToString(deterministic=True))
        with building_in(graph):
            variables = {v.handle.op: v for v in tf.global_variables()}
        used = [variables[op] for op in operations if op in variables]
        used.sort(key=lambda variable: variable.op.name)
        for variable, value in zip(used, self._session.run(used), strict=True):
            total.update(f"{variable.op.name} {value.dtype.str} {value.shape}".encode())
            total.update(value.tobytes())
        return total.hexdigest()

    def _operations(self) -> list[Any]:
        """Return the operations that the features need."""
        return needed_by(self._features.op, self._images_ph.op)


def needed_by(op: Any, stop: Any = None) -> list[Any]:
    """Return an operation and all that it needs, but nothing before the operation `stop`."""
    found, waiting = {op}, [op]
    while waiting:
        current = waiting.pop()
        if current is stop:
            continue
        for before in (*(i.op for i in current.inputs), *current.control_inputs):
            if before not in found:
                found.add(before)
                waiting.append(before)
    return list(found)


def _load(path: Path, shape: tuple[int, int]) -> Features | None:
    """Return stored features; None if there are none, or they cannot be used."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            found: Features = np.lib.format.read_array(file, allow_pickle=False)
        if found.dtype == np.float32 and found.shape == shape and np.isfinite(found).all():
            return found
        problem = f"it has {found.dtype} {found.shape}"
    except (OSError, ValueError, EOFError) as error:
        problem = " ".join(str(error).split())[:100]
    print_lines(f"note: {path} is damaged ({problem}); computing it again", to_stderr=True)
    return None
