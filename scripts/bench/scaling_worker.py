"""One measurement of scaling.py in a separate process: `python scaling_worker.py TASK`.

Task and answer are JSON.
"""

import itertools
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from cnnlab import Train
from cnnlab.data.datasets import load_dataset
from cnnlab.run.disk.metrics_file import read_metrics
from cnnlab.run.loop import run_steps

TURN_STEPS = 500  # steps between two summaries and checkpoints, to state their share of the time
WARM_UP_TURNS = 2


def make_train(task: dict[str, Any], folder: str, **options: Any) -> Train:
    """Make a run of the task's model."""
    given = {"dataset": task["dataset"], "data_dir": task["data_dir"], **task["options"], **options}
    return Train(save_dir=f"{folder}/save", log_dir=f"{folder}/logs", **given)


def measure_sizes(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Measure the speed by the number of training images, taken from the data set's start."""
    dataset = load_dataset(task["dataset"], task["data_dir"])
    images, labels = dataset.train.images, dataset.train.labels
    test = dataset.test.images, dataset.test.labels
    sizes = [min(size, len(labels)) for size in task["sizes"]]
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            make_train(task, folder, data=((images[:size], labels[:size]), test), batch_size=100)
            for size in sizes
        ]
        step_secs = measured(runs, task)
    return [
        {"images": size, "images_per_sec": 100 / secs}
        for size, secs in zip(sizes, step_secs, strict=True)
    ]


def measure_batches(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Measure the speed by the batch size."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [make_train(task, folder, batch_size=batch) for batch in task["batches"]]
        step_secs = measured(runs, task)
    return [
        {"batch_size": batch, "steps_per_sec": 1 / secs, "images_per_sec": batch / secs}
        for batch, secs in zip(task["batches"], step_secs, strict=True)
    ]


def measured(runs: list[Train], task: dict[str, Any]) -> list[float]:
    """Return seconds per step of each run, the median of interleaved rounds."""
    steps = []
    for run in runs:
        run_steps(run, (), 2)  # builds the graph and warms up
        secs, made = 0.0, 1
        while secs < task["secs"] / 4:
            made *= 2
            secs = timed(lambda run=run, made=made: run_steps(run, (), run.step + made))
        steps.append(max(1, round(made * task["secs"] / secs)))
    rounds = [
        [
            timed(lambda run=run, n=n: run_steps(run, (), run.step + n)) / n
            for run, n in zip(runs, steps, strict=True)
        ]
        for _ in range(task["rounds"])
    ]
    return [statistics.median(found) for found in zip(*rounds, strict=True)]


def timed(function: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def measure_turns(task: dict[str, Any]) -> dict[str, float]:
    """Measure what a summary, a line of progress and a checkpoint cost together.

    The cost is the time between two lines of the run's metrics minus the time of the steps.
    """
    steps = task["steps"]
    total = (WARM_UP_TURNS + task["turns"]) * steps
    every = {"summary_steps": steps, "checkpoint_steps": steps, "eval_steps": total}
    with tempfile.TemporaryDirectory() as folder:
        with make_train(task, folder, steps=total, **every) as train:
            train.train()
            images, save_dir = steps * train.config.batch_size, Path(train.config.save_dir)
        lines = [line for line in read_metrics(save_dir) if line["split"] == "train"]
    costs, step_secs = [], []
    for before, after in itertools.pairwise(lines[WARM_UP_TURNS - 1 :]):
        made_secs = images / after["images_per_sec"]
        costs.append(after["seconds"] - before["seconds"] - made_secs)
        step_secs.append(made_secs / steps)
    cost, one_step = statistics.median(costs), statistics.median(step_secs)
    share = cost / (cost + TURN_STEPS * one_step)
    return {"cost_ms": 1e3 * cost, "step_ms": 1e3 * one_step, "share": share}


def measure_start(task: dict[str, Any]) -> dict[str, float]:
    """Measure the seconds from the start of the process to the end of step 1, and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        run_steps(make_train(task, folder), (), 1)
    secs = time.time() - task["started_at"]
    return {
        "secs": secs,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


TASKS = {
    "sizes": measure_sizes,
    "batches": measure_batches,
    "turns": measure_turns,
    "start": measure_start,
}


def main() -> None:
    """Do the task of the command line. What libraries print goes to stderr."""
    task = json.loads(sys.argv[1])
    answer_fd = os.dup(1)
    os.dup2(2, 1)
    os.write(answer_fd, json.dumps(TASKS[task["task"]](task)).encode())


if __name__ == "__main__":
    main()
