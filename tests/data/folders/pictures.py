"""Folders of small pictures that tests write."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def write(path: str | Path, size: tuple[int, int] = (12, 10), mode: str = "RGB") -> Path:
    """Write a picture that only its path decides; size: width and height."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(str(path).encode()))
    low = rng.integers(0, 256, (4, 4, 3), np.uint8)
    image = Image.fromarray(low).resize(size, Image.Resampling.BICUBIC)
    image.convert(mode).save(path)
    return path


def write_folder(
    root: str | Path, counts: Mapping[str, int], names: Sequence[str] = ("jpg", "png")
) -> Path:
    """Write a number of pictures into each folder, as in {"train/cat": 8}; endings alternate."""
    for folder, count in counts.items():
        for i in range(count):
            write(Path(root) / folder / f"{i}.{names[i % len(names)]}")
    return Path(root)
