"""Running the text of an old program as a file, by the real command."""

import textwrap
from pathlib import Path

import numpy as np

from cnnlab.data.files.formats import idx_header
from tests import commands

NUM_TRAIN, NUM_TEST = 1200, 200


def run(text: str, *arguments: str, name: str = "old.py", **environment: str) -> commands.Finished:
    """Write the program into the current folder, run it with `cnnlab run-tf1`, wait for its end."""
    folder = Path.cwd()
    (folder / name).write_text(textwrap.dedent(text))
    process = commands.start("cnnlab", "run-tf1", name, *arguments, cwd=folder, **environment)
    return commands.finish(process, folder)


def succeeded(text: str, *arguments: str, **environment: str) -> commands.Finished:
    """Run a program that must end well, without a word of Python's or TensorFlow's own."""
    done = run(text, *arguments, **environment)
    assert done.code == 0, done.stderr
    for word in ("Traceback", "Warning", "deprecated", "oneDNN", "cpu_feature_guard"):
        assert word not in done.stderr, done.stderr
    return done


def write_digits(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Write small IDX files that a network can learn: class c has a bright row c. Return train."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(1)
    kept = None
    for prefix, n in (("train", NUM_TRAIN), ("t10k", NUM_TEST)):
        labels = generator.integers(0, 10, n).astype(np.uint8)
        images = generator.integers(0, 100, (n, 28, 28)).astype(np.uint8)
        images[np.arange(n), 2 * labels + 3] += 150
        kept = (images, labels) if kept is None else kept
        for array, ending in ((images, "images-idx3-ubyte"), (labels, "labels-idx1-ubyte")):
            content = idx_header(array.shape) + array.tobytes()
            (folder / f"{prefix}-{ending}").write_bytes(content)
    assert kept is not None
    return kept
