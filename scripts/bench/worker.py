"""One measurement in a separate process: `python worker.py TASK`; task and answer are JSON.

Only this process imports a framework, so that its set-up and memory are measured too.
"""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from scripts.bench.contestants import CONTESTANTS, Contestant
from scripts.bench.workloads import EVALUATION_BATCH_SIZES, WORKLOADS

LONG_EVALUATION_SECS = 1.0
MATMUL_SIZES = (1024, 2048, 3072)


def measure(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Train for task["secs"] seconds after a warm-up, evaluate and predict; return the figures."""
    workload = WORKLOADS[task["workload"]]
    entry = CONTESTANTS[task["contestant"]]
    contestant = entry.make(workload, task["data_dir"], scratch)
    answer: dict[str, Any] = {}
    if "train" in task["tasks"]:
        contestant.run(1)
        first_step_at = time.time()
        contestant.tune()
        step_secs = _train_for(contestant, task["secs"], _warm_up(contestant, task["warmup_secs"]))
        answer.update(
            images_per_sec=workload.batch_size / step_secs,
            step_ms=1e3 * step_secs,
            setup_secs=first_step_at - task["started_at"],
            peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )
    if "evaluate" in task["tasks"]:
        contestant.load(Path(task["start_file"]))
        found, secs = _measure_inference(contestant.evaluate, task["secs"] / 2, entry.is_expert)
        answer.update(
            evaluated_per_sec=found["n"] / secs, loss=found["loss"], accuracy=found["accuracy"]
        )
    if "predict" in task["tasks"]:
        contestant.load(Path(task["start_file"]))
        found, secs = _measure_inference(contestant.predict, task["secs"] / 2, entry.is_expert)
        confidence = float(found.max(axis=1).astype("float64").mean())
        answer.update(predicted_per_sec=len(found) / secs, confidence=confidence)
    return {**answer, **_onednn()}


def compare_losses(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Return the losses of the first steps from the common start."""
    workload = WORKLOADS[task["workload"]].for_comparison()
    contestant = CONTESTANTS[task["contestant"]].make(workload, task["data_dir"], scratch)
    return {"losses": contestant.losses(Path(task["start_file"]), task["steps"]), **_onednn()}


def measure_matmul(_task: dict[str, Any], _scratch: Path) -> dict[str, Any]:
    """Measure the fastest float32 matrix product of this machine, in GFLOP/s."""
    import numpy as np
    import tensorflow as tf

    best = {"numpy": 0.0, "tensorflow": 0.0}
    for n in MATMUL_SIZES:
        array = np.random.default_rng(0).standard_normal((n, n), np.float32)
        tensor = tf.constant(array)

        def with_tensorflow(tensor: Any = tensor) -> None:
            tf.matmul(tensor, tensor).numpy()

        def with_numpy(array: Any = array) -> None:
            array @ array

        for library, product in (("tensorflow", with_tensorflow), ("numpy", with_numpy)):
            product()
            secs = min(_timed(product) for _ in range(8))
            best[library] = max(best[library], 2 * n**3 / secs / 1e9)
    return {"matmul_gflops": max(best.values()), "matmul_gflops_by_library": best}


def _warm_up(contestant: Contestant, secs: float) -> float:
    """Train for about `secs` seconds with growing calls; return the last seconds per step."""
    started, steps = time.perf_counter(), 1
    while True:
        before = time.perf_counter()
        made = contestant.run(steps)
        now = time.perf_counter()
        if (left := started + secs - now) <= 0:
            return (now - before) / made
        steps = max(1, min(4 * made, round(made * left / (now - before))))


def _train_for(contestant: Contestant, secs: float, step_secs: float) -> float:
    """Train for about `secs` seconds; return seconds per step.

    All steps are made in one call, because for some contestants each call has a fixed cost.
    """
    while True:
        started = time.perf_counter()
        made = contestant.run(max(1, round(secs / step_secs)))
        elapsed = time.perf_counter() - started
        step_secs = elapsed / made
        if elapsed > secs / 2:  # otherwise the estimate was wrong
            return step_secs


def _measure_inference(
    run: Callable[[int], Any], secs: float, is_expert: bool
) -> tuple[Any, float]:
    """Evaluate or predict for `secs` seconds, at least once; return the answer and mean seconds."""
    batch_size = EVALUATION_BATCH_SIZES[0]
    found = run(batch_size)  # also the warm-up
    if is_expert:
        batch_size = _best_batch_size(run)
    started, times = time.perf_counter(), 0
    while not times or time.perf_counter() - started < secs:
        run(batch_size)
        times += 1
    return found, (time.perf_counter() - started) / times


def _best_batch_size(run: Callable[[int], Any]) -> int:
    """Return the fastest batch size; the usual one if trying takes too long."""
    usual = EVALUATION_BATCH_SIZES[0]
    if _timed(lambda: run(usual)) > LONG_EVALUATION_SECS:
        return usual

    def secs_with(size: int) -> float:
        run(size)  # a new shape may have to be compiled
        return min(_timed(lambda: run(size)) for _ in range(3))

    return min(EVALUATION_BATCH_SIZES, key=secs_with)


def _timed(function: Any) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def _onednn() -> dict[str, Any]:
    """Return whether TensorFlow computed with oneDNN, and what the environment requested."""
    if "tensorflow" not in sys.modules:
        return {}
    from tensorflow.python.util import _pywrap_util_port

    asked = os.environ.get("TF_ENABLE_ONEDNN_OPTS")
    return {"onednn": bool(_pywrap_util_port.IsMklEnabled()), "onednn_asked": asked}


TASKS = {"measure": measure, "losses": compare_losses, "matmul": measure_matmul}


def main() -> None:
    """Do the task of the command line. What libraries print goes to stderr."""
    task = json.loads(sys.argv[1])
    answer_fd = os.dup(1)
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as scratch:
        answer = TASKS[task["task"]](task, Path(scratch))
    os.write(answer_fd, (json.dumps(answer) + "\n").encode())


if __name__ == "__main__":
    main()
