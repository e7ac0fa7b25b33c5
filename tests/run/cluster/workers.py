"""Real workers: processes on this machine that train small runs together."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnnlab.launch import free_addresses
from tests import commands, small_run
from tests.run.cluster.hosts import Hosts

TIMEOUT_SECS = 900.0  # of all processes together, on a busy machine
SIMPLE = {"batch_size": 8, "steps": 5, "micro_batches": 8, "worker_timeout_secs": 120}


def tf_config(addresses: list[str], worker: int) -> str:
    cluster = {"worker": addresses}
    return json.dumps({"cluster": cluster, "task": {"type": "worker", "index": worker}})


def start(
    count: int,
    folder: Path,
    runs: dict[str, dict[str, Any]],
    *,
    of_worker: Any = None,
    on: Hosts | None = None,
    lists: Sequence[list[str]] | None = None,
) -> list[subprocess.Popen[str]]:
    """Start workers that make some runs one after the other, in folder/NAME.

    Args:
        count: number of workers.
        folder: of the runs.
        runs: name to options of `small_run`; "network" is the name of one of its networks.
        of_worker: worker to its own runs, instead of `runs`.
        on: a host for each worker; default: all are on this one.
        lists: the list of addresses of each worker; default: the same for all.
    """
    addresses = free_addresses(count) if on is None else [f"{one}:2222" for one in on.addresses]
    processes = []
    for worker in range(count):
        own = (of_worker or {}).get(worker, runs)
        environment = {**os.environ, "PYTHONPATH": str(commands.ROOT)}
        environment.pop("TF_CONFIG", None)
        if count > 1:
            environment["TF_CONFIG"] = tf_config(lists[worker] if lists else addresses, worker)
        processes.append(
            subprocess.Popen(
                [
                    *([] if on is None else on.words(worker)),
                    *(sys.executable, "-m", "tests.run.cluster.workers"),
                    *(str(folder), json.dumps(own)),
                ],
                env=environment,
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    return processes


def finish(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Return the exit code and the output of each process."""
    try:
        outputs = [process.communicate(timeout=TIMEOUT_SECS)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, out) for process, out in zip(processes, outputs, strict=True)]


def train(
    count: int, folder: Path, runs: dict[str, dict[str, Any]], *, on: Hosts | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Make the runs; return the variables of each worker after each run, by the run's name."""
    folder.mkdir(exist_ok=True)
    for code, output in finish(start(count, folder, runs, on=on)):
        assert code == 0, output
    return {
        name: [
            pickle.loads((folder / f"{name}.{worker}.pickle").read_bytes())
            for worker in range(count)
        ]
        for name in runs
    }


def sleeping(images: Any, num_classes: int, *, training: bool) -> Any:
    """Build the linear network; worker 1 sleeps in each of its passes in training."""
    from cnnlab.base.tf1 import tf

    if training and '"index": 1' in os.environ.get("TF_CONFIG", ""):
        with tf.control_dependencies([tf.py_func(lambda: time.sleep(0.03), [], [])]):
            images = tf.identity(images)
    return small_run.linear(images, num_classes, training=training)


def fake(what: str) -> Any:
    """Give this worker another version, other data or another processor; return its data."""
    from cnnlab import dataset_from_arrays
    from cnnlab.run.cluster import equal_workers

    data: Any = small_run.arrays()
    if what == "version":
        versions = {**equal_workers.versions(), "numpy": "1.0"}
        equal_workers.versions = lambda: versions  # type: ignore[assignment]
    elif what == "heads":
        data = tuple((images, {"low": n % 2, "high": n // 2}) for images, n in data)
    elif what == "values":
        pairs = [(images, n[:, None].astype("float32")) for images, n in data]
        data = dataset_from_arrays(*pairs, targets="values")
    elif what == "data":
        data[0][0][0] += 1
    elif what == "processor":
        equal_workers.cpu_features = lambda: ["sse2"]  # type: ignore[assignment]
    return data


def main() -> None:
    """Make the runs; go on after a refusal, and exit with its code at the end."""
    from cnnlab.base.errors import CnnlabError, UsageError
    from cnnlab.run.cluster import equal_workers
    from scripts.safety import workloads

    folder, runs = Path(sys.argv[1]), json.loads(sys.argv[2])
    config = json.loads(os.environ.get("TF_CONFIG", "{}"))
    worker = config.get("task", {}).get("index", 0)
    code, real = 0, dict(vars(equal_workers))
    for name, options in runs.items():
        data = fake(options.pop("fake", ""))
        try:
            network_name = options.pop("network", "network")
            networks = {**vars(small_run), **vars(workloads), "sleeping": sleeping}
            network = networks[network_name]
            with small_run.make(folder / name, network, data, **{**SIMPLE, **options}) as run:
                result = run.train()
                found = {**small_run.variables(run), **_figures(result)}
        except CnnlabError as error:
            print(f"{name}: error: {error}", flush=True)
            code = error.exit_code
            if not isinstance(error, UsageError):
                break
        else:
            (folder / f"{name}.{worker}.pickle").write_bytes(pickle.dumps(found))
        finally:
            vars(equal_workers).update(real)
    sys.exit(code)


def _figures(result: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    names = ("accuracy", "loss", "top5_accuracy", "n", "step", "rollbacks")
    return {f"test {name}": np.asarray(result[name]) for name in names if name in result}


if __name__ == "__main__":
    main()
