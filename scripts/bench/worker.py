"""One measurement in a process of its own: `python worker.py TASK`; task and answer are JSON.

The frameworks are imported here only, so that each measurement pays for its own set-up and memory.
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

SCRIPTS = Path(__file__).resolve().parent.parent
sys.path[:1] = [str(SCRIPTS), str(SCRIPTS.parent)]  # for bench, and for this checkout's cnnlab

from bench.contestants import CONTESTANTS, Contestant  # noqa: E402
from bench.workloads import EVALUATION_BATCH_SIZES, WORKLOADS  # noqa: E402

LONG_EVALUATION_SECS = 1.0
MATMUL_SIZES = (1024, 2048, 3072)


def measure(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Train for task["secs"] seconds after a warm-up, evaluate, predict; say how it went."""
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
    """The losses of the first steps, from the common start."""
    workload = WORKLOADS[task["workload"]].for_comparison()
    contestant = CONTESTANTS[task["contestant"]].make(workload, task["data_dir"], scratch)
    return {"losses": contestant.losses(Path(task["start_file"]), task["steps"]), **_onednn()}


def measure_matmul(_task: dict[str, Any], _scratch: Path) -> dict[str, Any]:
    """The best float32 matrix product of this machine, in GFLOP/s, by NumPy or TensorFlow."""
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
    """Train for about so long, ever more steps at a time; returns the last seconds a step."""
    started, steps = time.perf_counter(), 1
    while True:
        before = time.perf_counter()
        made = contestant.run(steps)
        now = time.perf_counter()
        if (left := started + secs - now) <= 0:
            return (now - before) / made
        steps = max(1, min(4 * made, round(made * left / (now - before))))


def _train_for(contestant: Contestant, secs: float, step_secs: float) -> float:
    """Train for about so long in one piece, because each call of a contestant that runs by epochs
    costs time of its own; returns seconds a step."""
    while True:
        started = time.perf_counter()
        made = contestant.run(max(1, round(secs / step_secs)))
        elapsed = time.perf_counter() - started
        step_secs = elapsed / made
        if elapsed > secs / 2:  # else the estimate was wrong
            return step_secs


def _measure_inference(
    run: Callable[[int], Any], secs: float, is_expert: bool
) -> tuple[Any, float]:
    """Evaluate or predict for so long, once at least; returns what it gives, and seconds a time."""
    batch_size = EVALUATION_BATCH_SIZES[0]
    found = run(batch_size)  # and warms up
    if is_expert:
        batch_size = _best_batch_size(run)
    started, times = time.perf_counter(), 0
    while not times or time.perf_counter() - started < secs:
        run(batch_size)
        times += 1
    return found, (time.perf_counter() - started) / times


def _best_batch_size(run: Callable[[int], Any]) -> int:
    """The batch size that is fastest; the usual one where that takes too long to try."""
    usual = EVALUATION_BATCH_SIZES[0]
    if _timed(lambda: run(usual)) > LONG_EVALUATION_SECS:
        return usual

    def secs_with(size: int) -> float:
        run(size)  # a new shape may be compiled anew
        return min(_timed(lambda: run(size)) for _ in range(3))

    return min(EVALUATION_BATCH_SIZES, key=secs_with)


def _timed(function: Any) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def _onednn() -> dict[str, Any]:
    """Whether TensorFlow computed with oneDNN, and what the environment asked for."""
    if "tensorflow" not in sys.modules:
        return {}
    from tensorflow.python.util import _pywrap_util_port

    asked = os.environ.get("TF_ENABLE_ONEDNN_OPTS")
    return {"onednn": bool(_pywrap_util_port.IsMklEnabled()), "onednn_asked": asked}


TASKS = {"measure": measure, "losses": compare_losses, "matmul": measure_matmul}


def main() -> None:
    """Do the task of the command line; what libraries print goes to stderr."""
    task = json.loads(sys.argv[1])
    answer_fd = os.dup(1)
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as scratch:
        answer = TASKS[task["task"]](task, Path(scratch))
    os.write(answer_fd, (json.dumps(answer) + "\n").encode())


if __name__ == "__main__":
    main()
