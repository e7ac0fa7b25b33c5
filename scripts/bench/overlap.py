"""Try whether it pays to add gradients while the backward pass goes on.

    python scripts/bench/overlap.py

Two workers of one core each train `cifar_cnn`, in turns: with cnnlab's own steps; with steps that
send one buffer when all gradients are there; and with steps that send two buffers, of which the
one with the gradients of the last layers goes while those of the first layers are computed. The
last two differ in nothing else. Writes results/overlap.json and the page that workers.py writes.
"""

import argparse
import datetime
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from scripts.bench import scaling_report
from scripts.bench.workers import Action, Group

KINDS = {"own steps": 0, "one buffer": 1, "two buffers": 2}


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Measure the three kinds of steps in turns."""
    first, second = sorted(os.sched_getaffinity(0))[:2]
    actions = {}
    for kind, buffers in KINDS.items():
        task = {"model": "cifar_cnn", "batch_size": args.batch_size, "buffers": buffers}
        group = Group(kind, [[first], [second]], **task)
        actions[kind] = Action(group, "steps")
        actions[kind].prepare(args.secs)
    for _ in range(args.rounds):
        for action in actions.values():
            action.measure()
    rounds = {kind: [1e3 * secs for secs, _ in one.rounds] for kind, one in actions.items()}
    expected = rounds["one buffer"]
    return {
        "ms": {kind: statistics.median(found) for kind, found in rounds.items()},
        "more_than_one_buffer_ms": {
            kind: statistics.quantiles([a - b for a, b in zip(found, expected, strict=True)], n=4)
            for kind, found in rounds.items()
        },
    }


def main() -> None:
    """Measure, and write the results and the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="number of measurements, at least 2")
    parser.add_argument("--secs", type=float, default=2.0, help="seconds of a measurement")
    parser.add_argument("--batch_size", type=int, default=500, help="images in a batch")
    parser.add_argument("--out", default=".", help="folder of results/ and docs/")
    args = parser.parse_args()
    results = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "load": os.getloadavg()[0],
        **{name: getattr(args, name) for name in ("rounds", "secs", "batch_size")},
        **measure(args),
    }
    path = Path(args.out) / "results" / "overlap.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    scaling_report.write_page(Path(args.out))


if __name__ == "__main__":
    main()
