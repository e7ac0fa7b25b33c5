"""Compare the speed of checkouts of cnnlab, or of options.

    git worktree add ../before HEAD~3
    python scripts/bench/compare.py ../before . --data_dir=./data --task=train
    python scripts/bench/compare.py . --options='{}' --options='{"precision": "bfloat16"}'

Each checkout runs with each of the options in a separate process. The processes take turns (A B A B
...) of about --secs seconds, so that other load of the machine affects all of them alike. Prints
one JSON document with the microseconds per step (train) or per test image (evaluate, predict): the
median, the fastest tenth, and how many times as fast as the first each of them is.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

TASKS = ("train", "evaluate", "predict")
WORKER = """
import json, os, sys, tempfile, time
sys.path.insert(0, sys.argv[1])
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
from cnnlab import Train
try:
    from cnnlab.run.loop import run_steps
except ModuleNotFoundError:  # an older checkout
    from cnnlab.loop import run_steps
with tempfile.TemporaryDirectory() as folder:
    options = json.loads(sys.argv[2])
    train = Train(save_dir=folder + "/save", log_dir=folder + "/logs", **options)
    images = train.data.split("test").images
    train.session  # without a run, evaluate and predict need one
    tasks = {
        "train": lambda times: run_steps(train, (), train.step + times) or times,
        "evaluate": lambda times: [train.evaluate("test") for _ in range(times)] and
        times * len(images),
        "predict": lambda times: [train.predict(images) for _ in range(times)] and
        times * len(images),
    }
    for line in sys.stdin:
        task, times = json.loads(line)
        started = time.perf_counter()
        count = tasks[task](times)
        secs = time.perf_counter() - started
        print(json.dumps([secs, secs / count]), file=answers, flush=True)
"""


def main() -> None:
    """Let all processes take turns; print the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkouts", nargs="+", help="folders; the first is the reference")
    parser.add_argument("--data_dir", default="./data", help="folder of the data files")
    parser.add_argument("--dataset", default="mnist", help="name of the data set")
    parser.add_argument(
        "--options", type=json.loads, action="append", help="options of Train, as JSON"
    )
    parser.add_argument("--task", choices=TASKS, default="train", help="what to measure")
    parser.add_argument("--rounds", type=int, default=30, help="turns of each process")
    parser.add_argument(
        "--secs", type=float, default=0.3, help="about how many seconds a turn takes"
    )
    args = parser.parse_args()
    if args.rounds < 1 or args.secs <= 0:
        parser.error("--rounds and --secs must be above 0")
    common = {
        "dataset": args.dataset,
        "data_dir": str(Path(args.data_dir).resolve()),
        "model": "mnist_perceptron",
        "batch_size": 100,
        "optimizer": "sgd",
        "schedule": "constant",
    }
    compared = [(folder, given) for folder in args.checkouts for given in args.options or [{}]]
    workers = [start(folder, {**common, **given}) for folder, given in compared]
    turns = [times_for(worker, args.task, args.secs) for worker in workers]
    found: list[list[float]] = [[] for _ in workers]
    for _ in range(args.rounds):
        for worker, times, secs in zip(workers, turns, found, strict=True):
            secs.append(ask(worker, args.task, times)[1])
    for worker in workers:
        worker.communicate()
    print(json.dumps(summary(compared, found), indent=1))


def start(folder: str, options: dict[str, Any]) -> subprocess.Popen[str]:
    """Start a process that measures one checkout."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(Path(folder).resolve()), json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
    )


def ask(worker: subprocess.Popen[str], task: str, times: int) -> list[float]:
    """Return the seconds of `times` steps or evaluations, and the seconds per step or image."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps([task, times]) + "\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        sys.exit(f"error: {worker.args[3]} failed")  # type: ignore[index]
    return json.loads(answer)


def times_for(worker: subprocess.Popen[str], task: str, secs: float) -> int:
    """Return how many steps or evaluations fill a turn; the search is the warm-up too."""
    times = 1
    ask(worker, task, times)
    while True:
        elapsed = ask(worker, task, times)[0]
        if elapsed >= secs / 2:
            return max(1, round(times * secs / elapsed))
        times *= 2


def summary(
    compared: list[tuple[str, dict[str, Any]]], found: list[list[float]]
) -> list[dict[str, Any]]:
    """Return the figures of each checkout and options, and their ratios to the first's."""
    figures = [(statistics.median(secs), sorted(secs)[len(secs) // 10]) for secs in found]
    return [
        {
            "checkout": folder,
            "options": given,
            "median_us": round(1e6 * median, 2),
            "best_tenth_us": round(1e6 * tenth, 2),
            "times_as_fast": round(figures[0][0] / median, 2),
            "times_as_fast_best_tenth": round(figures[0][1] / tenth, 2),
        }
        for (folder, given), (median, tenth) in zip(compared, figures, strict=True)
    ]


if __name__ == "__main__":
    main()
