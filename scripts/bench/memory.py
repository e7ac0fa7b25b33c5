"""Measure the memory of a long run and of many runs in one process.

    python scripts/bench/memory.py --data_dir=./data [--steps=20000] [--trains=10]

Prints one JSON document. It holds the growth in MB of a run of mnist_perceptron with summaries and
20 evaluations, from the first evaluation on; the numbers of nodes that its graph had; and the size
of the process after each of the further `Train`s. Exits with 1 if the process grows too much.
"""

import argparse
import json
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from cnnlab import Hook, Train

MAX_GROWTH_MB = 30
PAGE_MB = resource.getpagesize() / 1e6


def rss_mb() -> float:
    """Return the memory of this process now, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB


class Watch(Hook):
    """Records memory and graph size every `every_steps` steps."""

    def __init__(self, every_steps: int) -> None:
        self.every_steps = every_steps
        self.rss_mb: list[float] = []
        self.nodes: list[int] = []

    def after_step(self, train: Train, state: Any) -> None:
        self.rss_mb.append(round(rss_mb(), 1))
        self.nodes.append(len(train.graph.get_operations()))
        assert train.graph.finalized


def main() -> int:
    """Measure both; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", default="./data", help="folder of the data files")
    parser.add_argument("--dataset", default="mnist", help="name of the data set")
    parser.add_argument("--steps", type=int, default=20_000, help="steps of the long run")
    parser.add_argument("--trains", type=int, default=10, help="number of further runs")
    args = parser.parse_args()
    options: dict[str, Any] = {
        "dataset": args.dataset,
        "data_dir": args.data_dir,
        "model": "mnist_perceptron",
        "batch_size": 100,
    }
    with tempfile.TemporaryDirectory() as work:
        watch = Watch(args.steps // 20)
        long_run = {"steps": args.steps, "eval_steps": args.steps // 20, "layer_summaries": True}
        with Train(**options, **long_run, save_dir=f"{work}/long", hooks=[watch]) as train:
            train.train()
        sizes = []
        for number in range(args.trains):
            save_dir = f"{work}/{number}"
            with Train(**options, save_dir=save_dir, steps=200, eval_steps=100) as train:
                train.train()
            sizes.append(round(rss_mb(), 1))
    growth_mb = round(watch.rss_mb[-1] - watch.rss_mb[0], 1)
    # The allocator needs some runs to settle. A leak would still show in the later half.
    late_mb = round(sizes[-1] - sizes[len(sizes) // 2], 1)
    print(
        json.dumps(
            {
                "steps": args.steps,
                "evaluations": len(watch.rss_mb),
                "growth_mb": growth_mb,
                "rss_mb": watch.rss_mb,
                "nodes": sorted(set(watch.nodes)),
                "rss_mb_after_each_train": sizes,
                "growth_mb_of_later_trains": late_mb,
            }
        )
    )
    is_good = growth_mb < MAX_GROWTH_MB and len(set(watch.nodes)) == 1 and late_mb < MAX_GROWTH_MB
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
