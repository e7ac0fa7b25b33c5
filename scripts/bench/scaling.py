"""Measure how the speed of cnnlab depends on the size of the data set and of the batch.

    python scripts/bench/scaling.py --data_dir=./data

It also measures what logging and saving cost and how long a start takes. Each group of sizes is
measured in a separate process, in interleaved rounds (A B A B ...), and the medians are reported.
This takes about six minutes. It writes results/scaling.json, docs/scaling.md,
docs/images/scaling-data.png and docs/images/scaling-batch.png. Run it on an idle machine.
"""

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from cnnlab.base.machine import describe_machine, versions
from scripts.bench.scaling_report import plot, write_page
from scripts.bench.scaling_worker import TURN_STEPS

TURNS = 6  # measured; ten times as many for the perceptron, whose turns are short
WORKER = Path(__file__).parent / "scaling_worker.py"
PERCEPTRON: dict[str, Any] = {
    "model": "mnist_perceptron",
    "optimizer": "sgd",
    "schedule": "constant",
    "learning_rate": 0.01,
}
CNN: dict[str, Any] = {"model": "mnist_cnn", "schedule": "constant", "learning_rate": 1e-4}
CIFAR_CNN: dict[str, Any] = {"model": "cifar_cnn", "batch_size": 500}


def main() -> None:
    """Measure in separate processes and write the report."""
    args = parse_args()
    mnist, cifar = args.datasets
    given = {"data_dir": args.data_dir, "rounds": args.rounds, "secs": args.secs}
    results: dict[str, Any] = {
        "machine": describe_machine(),
        "versions": versions(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "rounds": args.rounds,
        "secs": args.secs,
        "sizes": run_task(
            task="sizes", dataset=mnist, sizes=args.sizes, options=PERCEPTRON, **given
        ),
        "batches": {
            options["model"]: run_task(
                task="batches", dataset=mnist, batches=args.batches, options=options, **given
            )
            for options in (PERCEPTRON, CNN)
        },
        "turns": [
            {
                "model": options["model"],
                "batch_size": options["batch_size"],
                **run_task(
                    task="turns",
                    dataset=dataset,
                    turns=turns,
                    steps=steps,
                    options=options,
                    **given,
                ),
            }
            for options, dataset, turns, steps in (
                ({**PERCEPTRON, "batch_size": 100}, mnist, 10 * TURNS, args.turn_steps),
                ({**PERCEPTRON, "batch_size": 500}, mnist, 10 * TURNS, args.turn_steps),
                ({**CNN, "batch_size": 500}, mnist, TURNS, max(args.turn_steps // 10, 1)),
                (CIFAR_CNN, cifar, TURNS, max(args.turn_steps // 50, 1)),
            )
        ],
        "starts": {
            dataset: median_of(
                [
                    run_task(task="start", dataset=dataset, options=options, **given)
                    for _ in range(args.rounds)
                ]
            )
            for dataset, options in ((mnist, PERCEPTRON), (cifar, CIFAR_CNN))
        },
    }
    write(results, Path(args.out))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", default="./data", help="folder of the data files")
    parser.add_argument(
        "--datasets", type=words, default=["mnist", "cifar10"], help="a small and a large one"
    )
    parser.add_argument("--rounds", type=int, default=3, help="number of measurements")
    parser.add_argument("--secs", type=float, default=1.0, help="seconds of a measurement")
    parser.add_argument(
        "--sizes",
        type=numbers,
        default=[1000, 4000, 15_000, 60_000],
        help="numbers of training images",
    )
    parser.add_argument(
        "--batches", type=numbers, default=[1, 4, 16, 64, 256, 1024, 4096], help="batch sizes"
    )
    parser.add_argument(
        "--turn_steps",
        type=int,
        default=TURN_STEPS,
        help="steps between two summaries and checkpoints when their cost is measured; larger "
        "networks make fewer",
    )
    parser.add_argument("--out", default=".", help="folder of results/ and docs/")
    args = parser.parse_args()
    if args.rounds < 1 or args.secs <= 0 or args.turn_steps < 1 or len(args.datasets) != 2:
        parser.error("--rounds, --secs and --turn_steps must be above 0, --datasets two names")
    args.data_dir = str(Path(args.data_dir).resolve())
    return args


def words(text: str) -> list[str]:
    """Split a text at its commas."""
    return text.split(",")


def numbers(text: str) -> list[int]:
    """Read numbers between commas."""
    return [int(word) for word in words(text)]


def run_task(**task: Any) -> Any:
    """Do a task in a new process; print its stderr and exit if it fails."""
    kind = task["task"]
    print(f"{kind}: {task['options']['model']} on {task['dataset']}", file=sys.stderr, flush=True)
    task["started_at"] = time.time()
    process = subprocess.run(
        [sys.executable, str(WORKER), json.dumps(task)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        sys.stderr.write(process.stderr)
        sys.exit(f"error: {kind} of {task['options']['model']} failed")
    return json.loads(process.stdout)


def median_of(found: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each number."""
    return {name: statistics.median(one[name] for one in found) for name in found[0]}


def write(results: dict[str, Any], out: Path) -> None:
    """Write the JSON file, the page of tables and the plots."""
    for folder in ("results", "docs/images"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1) + "\n"
    (out / "results" / "scaling.json").write_text(text, encoding="utf-8")
    plot(results, out / "docs" / "images")
    write_page(out)


if __name__ == "__main__":
    main()
