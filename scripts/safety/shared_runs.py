"""Runs of several workers as processes of this machine, to be watched and killed."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import Train, layers
from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import tf
from cnnlab.launch import free_addresses
from scripts.safety.killing import has_begun

POLL_SECS = 0.003
TIMEOUT_SECS = 60  # --worker_timeout_secs: also of workers that wait for one that never starts
CLASSES, SIZE = 4, 8
OPTIONS: dict[str, Any] = {
    "batch_size": 8,
    "micro_batches": 4,
    "steps": 200,
    "summary_steps": 10,
    "eval_steps": 30,
    "checkpoint_steps": 20,
    "learning_rate": 0.003,
    "schedule": "plateau",
    "plateau_patience": 2,
    "ema_decay": 0.99,
    "augment": ["flip"],
    "device": "cpu",
    "worker_timeout_secs": TIMEOUT_SECS,
}


def network(images: Any, num_classes: int, *, training: bool) -> Any:
    """Return the logits of a tiny network with batch norm and dropout.

    Args:
        images: float32 [batch, height, width, channels].
        num_classes: number of classes.
        training: whether batch norm and dropout work as in training.

    Returns:
        float32 [batch, num_classes], unscaled.
    """
    x = layers.dense(layers.flatten(images), 16, name="dense")
    x = tf.nn.relu(layers.batch_normalization(x, training=training, momentum=0.9, name="norm"))
    x = layers.dropout(x, 0.2, training=training, name="dropout")
    return layers.dense(x, num_classes, name="logits")


def data() -> tuple[tuple[Any, Any], ...]:
    """Return training, validation and test images and labels, the same in every call.

    The images are uint8 [n, SIZE, SIZE, 1]. Those of a class are brighter than those before it.
    """
    chance = np.random.default_rng(3)
    splits = []
    for count in (200, 40, 40):
        labels = np.arange(count) % CLASSES
        noise = chance.integers(0, 160, (count, SIZE, SIZE, 1))
        splits.append(((noise + 25 * labels[:, None, None, None]).astype(np.uint8), labels))
    return tuple(splits)


class Workers:
    """The processes of one run, forked from this one, which has made no graph or session."""

    def __init__(self, count: int, save_dir: Path, logs: Path) -> None:
        """Start them.

        Args:
            count: number of workers; 1: a process without TF_CONFIG.
            save_dir: the run directory.
            logs: folder of their outputs.
        """
        self.save_dir, self.codes = save_dir, dict[int, int]()
        addresses = free_addresses(count)
        self.logs = [logs / f"{worker}.log" for worker in range(count)]
        self.pids = [
            _fork(addresses, worker, save_dir, self.logs[worker]) for worker in range(count)
        ]

    def poll(self) -> dict[int, int]:
        """Return the exit codes of the workers that have ended, by worker."""
        for worker, process in enumerate(self.pids):
            if worker not in self.codes:
                pid, status = os.waitpid(process, os.WNOHANG)
                if pid:
                    self.codes[worker] = os.waitstatus_to_exitcode(status)
        return self.codes

    def wait(self, longest_secs: float) -> None:
        """Wait until all have ended; kill those that have not after some seconds."""
        deadline = time.monotonic() + longest_secs
        while len(self.poll()) < len(self.pids):
            if time.monotonic() > deadline:
                for worker, process in enumerate(self.pids):
                    if worker not in self.codes:
                        os.kill(process, signal.SIGKILL)
            time.sleep(0.02)

    def kill_at(self, victim: int, aim: str, secs: float) -> bool:
        """Kill a worker after the event that `aim` names and a delay.

        Returns:
            False if a worker ended before that.
        """
        first_size: list[int] = []
        while not self.poll() and not has_begun(aim, self.save_dir, first_size):
            time.sleep(POLL_SECS)
        deadline = time.monotonic() + secs
        while not self.poll() and time.monotonic() < deadline:
            time.sleep(min(POLL_SECS, secs))
        if self.poll():
            return False
        os.kill(self.pids[victim], signal.SIGKILL)
        return True


def _fork(addresses: list[str], worker: int, save_dir: Path, log: Path) -> int:
    """Start a worker, and return its process id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        with log.open("wb") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        os.environ.pop("TF_CONFIG", None)
        if len(addresses) > 1:
            task = {"type": "worker", "index": worker}
            os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
        code = _train(save_dir)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # the caller's code must not run twice


def _train(save_dir: Path) -> int:
    """Train in this process until the run is finished; return the exit code of the command."""
    try:
        with Train(model=network, data=data(), **OPTIONS, save_dir=str(save_dir)) as run:
            run.train()
    except CnnlabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0
