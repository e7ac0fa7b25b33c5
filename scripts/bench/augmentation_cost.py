"""Measure what crop, flip and cutout add to a step of cifar_cnn.

    python scripts/bench/augmentation_cost.py --data_dir=./data

One process trains two networks, with and without augmentation, in turns (A B A B ...). It compares
the seconds and the processor time of a step. The processor time is reliable on a busy machine too;
the seconds need an idle one.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from cnnlab import Train

AUGMENTATIONS = ["pad_and_crop", "flip", {"cutout": {"size": 8}}]


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", default="./data", help="folder of CIFAR-10's files")
    parser.add_argument("--rounds", type=int, default=10, help="measurements of each network")
    parser.add_argument("--steps", type=int, default=6, help="steps of a measurement")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            name: make(augment, args.data_dir, Path(folder) / name)
            for name, augment in (("plain", []), ("augmented", AUGMENTATIONS))
        }
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for one_round in range(args.rounds + 1):
            for name, run in runs.items():
                measured = measure(run, args.steps)
                if one_round:  # the first round is the warm-up
                    seconds[name].append(measured)
    print(json.dumps(summarize(seconds), indent=2))


def make(augment: list[Any], data_dir: str, folder: Path) -> Train:
    """Make a run of the recipe that is ready to train."""
    run = Train(config="cifar_cnn", augment=augment, data_dir=data_dir, save_dir=str(folder))
    assert run.session is not None  # the first use makes it
    return run


def measure(run: Train, steps: int) -> tuple[float, float]:
    """Return the seconds and the processor seconds of a step."""
    started, started_cpu = time.perf_counter(), time.process_time()
    run.session.run(run.train_op, {run.steps_ph: steps})
    return (time.perf_counter() - started) / steps, (time.process_time() - started_cpu) / steps


def summarize(seconds: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    """Return medians, minima, and what the augmentations add, in percent."""
    summary: dict[str, Any] = {}
    for place, kind in enumerate(("clock", "processor")):
        values = {name: [pair[place] for pair in pairs] for name, pairs in seconds.items()}
        medians = {name: statistics.median(found) for name, found in values.items()}
        least = {name: min(found) for name, found in values.items()}
        summary[kind] = {
            "median_secs_a_step": medians,
            "least_secs_a_step": least,
            "added_percent_of_medians": 100 * (medians["augmented"] / medians["plain"] - 1),
            "added_percent_of_least": 100 * (least["augmented"] / least["plain"] - 1),
        }
    return summary


if __name__ == "__main__":
    main()
