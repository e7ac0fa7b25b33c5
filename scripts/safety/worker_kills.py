"""Kill workers of shared runs at random moments, restart them, and compare with an undisturbed run.

    python scripts/safety/worker_kills.py --kills=100 --seed=1

One process first trains a small network alone. Then runs of several workers are started, and a
random one of them, the chief or another, gets SIGKILL: at any time, or while the chief writes a
checkpoint, the best step or a line of metrics. The others must end by themselves with exit code 75.
Then all are started again, until the run has finished. Each finished run must have the files of the
run of one process, byte for byte. Exits with 1 if anything differs. Writes OUT.json and OUT.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

from cnnlab import Train, layers
from cnnlab.base.errors import CnnlabError
from cnnlab.base.machine import versions
from cnnlab.base.tf1 import legacy_core, tf
from scripts.safety.comparing import divergences
from scripts.safety.killing import AIMS, delay_secs, has_begun

POLL_SECS = 0.003
LOST = 75  # exit code of a worker that has lost another one
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


def main() -> int:
    """Kill workers, and report; return the exit code."""
    args = parse_args()
    _ = (tf.errors, legacy_core.Dense)  # forked children inherit the imported modules
    with tempfile.TemporaryDirectory(dir=args.work_dir, prefix="worker-kills-") as work:
        report = torture(args, Path(work))
    print(text_of(report), flush=True)
    if args.out:
        out = Path(args.out)
        out.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{out}.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        Path(f"{out}.txt").write_text(text_of(report) + "\n", encoding="utf-8")
    return 1 if report["divergences"] or report["wrong_ends"] else 0


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100, help="kills in all")
    parser.add_argument("--workers", type=int, default=4, choices=(2, 4), help="workers of a run")
    parser.add_argument("--seed", type=int, default=1, help="seed of the victims and times")
    parser.add_argument("--out", help="path of the report without its ending")
    parser.add_argument("--work_dir", help="folder for the runs (default: a temporary one)")
    return parser.parse_args()


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


def free_addresses(count: int) -> list[str]:
    """Return addresses on the loopback interface that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return addresses


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


def torture(args: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Kill workers of runs until all kills are used; return the report."""
    chance = random.Random(args.seed)
    expected = work / "undisturbed"
    started = time.monotonic()
    alone = Workers(1, expected, work)
    alone.wait(3600)
    if alone.codes[0]:
        sys.exit(alone.logs[0].read_text(errors="replace")[-3000:])
    # Several workers start more slowly than one; this is corrected by each run that ends by itself.
    usual_secs = 2 * (time.monotonic() - started)
    victims: Counter[str] = Counter()
    aims: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    problems: list[str] = []
    wrong_ends: list[str] = []
    runs = kills = alarms = 0
    longest_end_secs = 0.0
    while kills < args.kills:
        runs += 1
        save_dir = work / f"run-{runs}"
        is_finished = False
        while not is_finished:
            workers = Workers(args.workers, save_dir, work)
            begun, is_killed = time.monotonic(), False
            victim, aim = chance.randrange(args.workers), chance.choice(AIMS)
            secs = delay_secs(aim, chance, usual_secs)
            if kills < args.kills:
                is_killed = workers.kill_at(victim, aim, secs)
            killed_at = time.monotonic()
            workers.wait(20 * TIMEOUT_SECS)
            survivors = {n: code for n, code in workers.codes.items() if n != victim}
            if is_killed:
                kills += 1
                aims[aim] += 1
                victims["chief" if victim == 0 else "other"] += 1
                longest_end_secs = max(longest_end_secs, time.monotonic() - killed_at)
                print(f"kill {kills}: worker {victim}, {aim}; codes {survivors}", file=sys.stderr)
                for n, code in survivors.items():
                    kind = _end_of(code, victim, workers.logs[n])
                    ends[kind] += 1
                    if kind.startswith("exit code"):
                        wrong_ends.append(f"kill {kills} of worker {victim}: worker {n}: {kind}")
            else:
                codes = set(workers.codes.values())
                is_finished = codes == {0}
                alarms += not is_finished
                if is_finished:
                    usual_secs = 0.5 * (usual_secs + time.monotonic() - begun)
                elif codes - {0, LOST}:
                    wrong_ends.append(f"run {runs}, not killed: exit codes {workers.codes}")
                    is_finished = True
        found = divergences(expected, save_dir)
        problems += [f"run {runs}: {problem}" for problem in found]
        print(
            f"run {runs}, {kills} kills, {len(problems)} divergences, {dict(ends)}, "
            f"{alarms} false alarms, {time.monotonic() - started:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    return {
        "workers": args.workers,
        "seed": args.seed,
        "steps": OPTIONS["steps"],
        "kills": kills,
        "kills_by_victim": dict(victims),
        "kills_by_aim": dict(aims),
        "runs": runs,
        "ends_of_the_others": dict(ends),
        "false_alarms": alarms,
        "longest_end_secs": round(longest_end_secs, 1),
        "wrong_ends": wrong_ends,
        "divergences": problems,
        "seconds": round(time.monotonic() - started, 1),
        "versions": versions(),
    }


def _end_of(code: int, victim: int, log: Path) -> str:
    """Return how a worker ended that was not killed."""
    if code == LOST:
        is_named = f"worker {victim} (" in log.read_text(errors="replace").rpartition("error: ")[2]
        return "75, names it" if is_named else "75, names another"
    return "had finished" if code == 0 else f"exit code {code}"


def text_of(report: dict[str, Any]) -> str:
    """Return the report as a table."""

    def counts(name: str) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in sorted(report[name].items()))

    rows = [
        ("workers, steps, seed", f"{report['workers']}, {report['steps']}, {report['seed']}"),
        ("kills", f"{report['kills']} ({counts('kills_by_victim')}; {counts('kills_by_aim')})"),
        ("finished runs", str(report["runs"])),
        ("ends of the others", counts("ends_of_the_others")),
        ("longest end after a kill", f"{report['longest_end_secs']} s"),
        ("ends without a kill", str(report["false_alarms"])),
        ("wrong ends", str(len(report["wrong_ends"]))),
        ("divergences", str(len(report["divergences"]))),
        ("time", f"{report['seconds']} s"),
        ("versions", ", ".join(f"{name} {text}" for name, text in report["versions"].items())),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name.ljust(width)}  {text}" for name, text in rows]
    return "\n".join([*lines, *report["wrong_ends"], *report["divergences"]])


if __name__ == "__main__":
    sys.exit(main())
