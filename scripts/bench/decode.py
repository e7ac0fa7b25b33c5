"""Compare how fast cnnlab reads JPEG files with bare loops of tf.data over the same files.

    python scripts/bench/decode.py [--folder=PICTURES] [--size=150] [--rounds=9]

The folder is as for `--dataset=folder:PATH`. Without it, 600 pictures of 300 to 600 pixels are
drawn. cnnlab's rate is that of the stream that training reads with `--cache=none`. The loops are:

- antialiased: what gives comparable pictures (bicubic, as cnnlab's default)
- plain: `tf.image.resize` as it is by default, which skips pixels

Short rounds of all three alternate, so that a busy machine slows them alike. Prints medians: the
rates, the processor time, and cnnlab's share of each loop's. Rates say little on a busy machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from cnnlab.base.tf1 import tf, tf2
from cnnlab.config.resolve import resolve
from cnnlab.data.pipeline import RowStream
from cnnlab.data.resident import build_resident_data
from cnnlab.data.training_data import TrainingData

BATCH = 20
AHEAD_BATCHES = 4  # which the readers may have prefetched
SETTLE_SECS = 0.1
CLASSES, SIDES, QUALITY = ("cat", "dog"), (300, 600), 90


def draw_pictures(folder: Path, count: int) -> None:
    """Write JPEG files with details of all sizes, as photographs have them."""
    random = np.random.default_rng(1)
    for i in range(count):
        width, height = random.integers(*SIDES, 2, endpoint=True).tolist()
        pixels = np.full((height, width, 3), 127.0)
        for cells in (3, 12, 48, 192):
            blobs = random.integers(0, 256, (cells, cells, 3), np.uint8)
            layer = Image.fromarray(blobs).resize((width, height), Image.Resampling.BICUBIC)
            pixels += (np.asarray(layer, np.float64) - 127) / (1 + cells / 12)
        place = folder / ("train", "test")[i % 10 == 0] / CLASSES[i // 10 % 2] / f"{i}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place, quality=QUALITY)


def cnnlab_reader(data: TrainingData) -> Callable[[], Any]:
    """Return a function that reads a batch from the stream of training."""
    train = data.split("train")
    with tf.Graph().as_default():
        resident = build_resident_data(data.spec, len(train.labels), read=["images"])
        images = RowStream(resident, BATCH, 1, 0).next_rows()["images"]
        session = tf.Session()
        assert resident.reader is not None
        resident.reader.read = train.images.start()
        resident.fill(session, None, train.labels)
    return lambda: session.run(images)


def bare_reader(files: list[str], size: int, **how: Any) -> Callable[[], Any]:
    """Return a function that reads a batch with tf.data alone; `how` goes to the resizing."""

    def picture_of(path: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        resized = tf2.image.resize(image, [size, size], **how)
        return tf.saturate_cast(tf.round(resized), tf.uint8)

    with tf.Graph().as_default():
        names = tf2.data.Dataset.from_tensor_slices(files).shuffle(len(files), 1).repeat()
        pictures = names.map(picture_of, num_parallel_calls=tf2.data.AUTOTUNE)
        images = tf.data.make_one_shot_iterator(pictures.batch(BATCH).prefetch(2)).get_next()
        session = tf.Session()
    return lambda: session.run(images)


def measure(read: Callable[[], Any], batches: int) -> tuple[float, float]:
    """Return seconds, and seconds of both cores together, for one picture of some batches."""
    for _ in range(AHEAD_BATCHES):
        read()
    began, busy = time.perf_counter(), time.process_time()
    for _ in range(batches):
        read()
    count = batches * BATCH
    found = (time.perf_counter() - began) / count, (time.process_time() - busy) / count
    is_busy = True
    while is_busy:  # until its threads have filled their buffers
        busy = time.process_time()
        time.sleep(SETTLE_SECS)
        is_busy = time.process_time() - busy > SETTLE_SECS / 10
    return found


def main() -> None:
    """Measure, and print the rates."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", help="pictures with train/ and test/, as folder:PATH has them")
    parser.add_argument("--size", type=int, default=150, help="height and width (pixels)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each reader")
    parser.add_argument("--count", type=int, default=600, help="pictures to draw without --folder")
    parser.add_argument("--batches", type=int, default=10, help=f"batches of {BATCH} in a round")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        if args.folder is None:
            draw_pictures(Path(own), args.count)
        options = {
            "dataset": f"folder:{args.folder or own}",
            "image_size": [args.size, args.size],
            "cache": "none",
            "batch_size": BATCH,
        }
        data = TrainingData(resolve(options), None)
        files = data.files_of("train") or []
        size, filtered = args.size, {"method": "bicubic", "antialias": True}
        readers = {
            "cnnlab": cnnlab_reader(data),
            "tf.data, antialiased": bare_reader(files, size, **filtered),
            "tf.data, plain": bare_reader(files, size),
        }
        rounds = [
            {name: measure(read, args.batches) for name, read in readers.items()}
            for _ in range(args.rounds)
        ]
    for name in readers:
        secs, busy = (median(one[name][i] for one in rounds) for i in (0, 1))
        rate, cost = (median(one[name][i] / one["cnnlab"][i] for one in rounds) for i in (0, 1))
        print(
            f"{name:22} {1 / secs:6.0f} pictures/s, {1e3 * busy:.2f} ms of processor time; "
            f"cnnlab reaches {rate:.2f} of its rate with {1 / cost:.2f} of its processor time"
        )


if __name__ == "__main__":
    main()
