"""Measure how a run on very many pictures starts: seconds, memory, and the size of its graph.

    python scripts/bench/many_pictures.py --pictures=1000000 --work_dir=/tmp/many

The pictures are hard links to 40 JPEG files of 32 x 32 pixels, in a folder for each of two classes.
The run has --cache=none, so it stores no pixels. The first start decodes each picture once, to name
damaged files before training. A second call finds what is known of the files, and takes less.
"""

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from cnnlab import Train

CLASSES: Final = ("cat", "dog")
FILES: Final = 20  # of each class; a file system allows some ten thousand links to a file


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--work_dir", required=True, help="folder for pictures and the run")
    args = parser.parse_args()
    folder = Path(args.work_dir)
    make_pictures(folder, args.pictures)
    print(json.dumps(measure(folder)))


def make_pictures(folder: Path, count: int) -> None:
    """Make FOLDER/pictures/CLASS/NUMBER.jpg, unless they are there."""
    rng = np.random.default_rng(1)
    for place, name in enumerate(CLASSES):
        files, links = folder / "files" / name, folder / "pictures" / name
        files.mkdir(parents=True, exist_ok=True)
        links.mkdir(parents=True, exist_ok=True)
        for number in range(FILES):
            path = files / f"{number}.jpg"
            if not path.exists():
                low = rng.normal(100 + 40 * place, 30, (4, 4, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(low).resize((32, 32), Image.Resampling.BICUBIC).save(path)
        for number in range(len(os.listdir(links)), count // len(CLASSES)):
            os.link(files / f"{number % FILES}.jpg", links / f"{number:07d}.jpg")


def measure(folder: Path) -> dict[str, float]:
    """Return the seconds of each part of the start, the bytes of the graph and the peak memory."""
    start = time.perf_counter()
    with Train(
        dataset=f"folder:{folder / 'pictures'}",
        image_size=[32, 32],
        cache="none",
        model="mnist_cnn",
        batch_size=32,
        steps=1,
        save_dir=str(folder / "run"),
        quiet=True,
    ) as train:
        pictures = train.data.spec.num_train + train.data.spec.num_test
        listed = time.perf_counter()
        for split in ("train", "test"):
            train.data.split(split)
        checked = time.perf_counter()
        _ = train.session
        ready = time.perf_counter()
        graph_bytes = train.graph.as_graph_def().ByteSize()
    return {
        "pictures": pictures,
        "listing_secs": round(listed - start, 1),
        "checking_secs": round(checked - listed, 1),
        "session_secs": round(ready - checked, 1),
        "graph_bytes": graph_bytes,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


if __name__ == "__main__":
    main()
