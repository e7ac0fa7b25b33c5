"""The workers of a search, and who hands them their trials.

Each worker is a process; a thread here talks to it. Only this process uses the study, one thread at
a time, so any number of workers get on with SQLite.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

from cnnlab.base.errors import CnnlabError
from cnnlab.base.files import translate_os_errors
from cnnlab.tune.dimensions import short
from cnnlab.tune.space import Point, Space
from cnnlab.tune.study import Study

TRIAL_PATTERN = "trial-[0-9]*"
SIGN_SECS = 60.0  # between two signs of life
_MIN_SECS = 0.001

Message = dict[str, Any]


class Plan(NamedTuple):
    """What every trial has.

    options: a run's options that do not vary.
    space: what varies.
    total: trials of the study in all.
    metric: accuracy or loss.
    prunes: whether poor trials are ended early.
    folder: the study directory.
    log_dir: folder of all trials' event files.
    max_secs: stop after so long; None for never.
    """

    options: dict[str, Any]
    space: Space
    total: int
    metric: str
    prunes: bool
    folder: Path
    log_dir: Path
    max_secs: float | None


def trial_name(number: int) -> str:
    """The name of a trial's folders."""
    return f"trial-{number:04d}"


class Worker:
    """A process that makes trials, one at a time."""

    def __init__(self, number: int, folder: Path) -> None:
        """Start it.

        Args:
            number: names it.
            folder: where WORKER.log goes, with what training says.
        """
        self._log = folder / f"worker-{number}.log"
        package = str(Path(__file__).parents[2])
        path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
        with translate_os_errors(self._log), self._log.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cnnlab.tune.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": path},
                # Control-C reaches this process alone, which tells the workers once.
                start_new_session=True,
            )

    def tell(self, message: Message) -> None:
        """Send a message; of no effect if the process has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):  # ValueError: closed
            return

    def run(self, job: Message, should_prune: Callable[[list[Any]], bool]) -> Message:
        """Make a trial; answers its questions.

        Raises:
            CnnlabError: the process has died.
        """
        assert self._process.stdout is not None
        self.tell(job)
        for line in self._process.stdout:
            message: Message = json.loads(line)
            if "ending" in message:
                return message
            self.tell({"prune": should_prune(message["evaluations"])})
        code = self._process.wait()
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        raise CnnlabError(
            f"a worker has ended {how} in trial {job['trial']}; see {self._log}; the same command "
            "goes on with it"
        )

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Crew:
    """Some workers at one study."""

    def __init__(self, study: Study, plan: Plan, say: Callable[[str], None]) -> None:
        self._study = study
        self._plan = plan
        self._say = say
        self._lock = threading.Lock()
        self._stopping = False
        self._workers: list[Worker] = []
        self._deadline = None if plan.max_secs is None else time.monotonic() + plan.max_secs

    def run(self, count: int) -> None:
        """Make trials, `count` at a time, until all are done or in work elsewhere, or time is up.

        However it ends, the trials under way are saved and back in the queue.

        Raises:
            CnnlabError: something is wrong that is not one trial's fault.
        """
        with ThreadPoolExecutor(count) as pool:
            futures = [pool.submit(self._drive, number) for number in range(1, count + 1)]
            try:
                pending = set(futures)
                while pending:
                    done, pending = wait(pending, SIGN_SECS, FIRST_EXCEPTION)
                    for future in done:
                        future.result()
                    with self._lock:
                        self._study.give_signs()
            finally:
                self._stop()

    def _stop(self) -> None:
        with self._lock:
            self._stopping = True
            workers = list(self._workers)
        for worker in workers:
            worker.tell({"stop": True})

    def _drive(self, number: int) -> None:
        """One worker's trials."""
        worker: Worker | None = None
        try:
            while (taken := self._take()) is not None:
                trial, point = taken
                answer: Message = {"ending": "stopped"}
                try:
                    if worker is None:
                        worker = self._start_worker(number)
                    answer = worker.run(self._job(trial, point), self._pruning_of(trial))
                finally:
                    self._finish(trial, point, answer)
                if answer["ending"] == "stopped":
                    return
        finally:
            if worker is not None:
                with self._lock:
                    self._workers.remove(worker)
                worker.close()

    def _take(self) -> tuple[int, Point] | None:
        with self._lock:
            if self._stopping or self._secs_left() == 0:
                return None
            return self._study.next_trial(self._plan.total)

    def _start_worker(self, number: int) -> Worker:
        with self._lock:
            worker = Worker(number, self._plan.folder)
            self._workers.append(worker)
            if len(self._workers) == 1 and number == 1:
                experiment = self._plan.space.domains()
                worker.tell({"experiment": experiment, "log_dir": str(self._plan.log_dir)})
            if self._stopping:
                worker.tell({"stop": True})
        return worker

    def _job(self, number: int, point: Point) -> Message:
        plan, name = self._plan, trial_name(number)
        options = {
            **plan.space.apply(plan.options, point),
            "save_dir": str(plan.folder / name),
            "log_dir": str(plan.log_dir / name),
            "max_secs": None if self._deadline is None else self._secs_left() or _MIN_SECS,
        }
        return {
            "trial": number,
            "options": options,
            "metric": plan.metric,
            "prunes": plan.prunes,
            "values": plan.space.shown(point),
        }

    def _pruning_of(self, number: int) -> Callable[[list[Any]], bool]:
        def should_prune(evaluations: list[Any]) -> bool:
            with self._lock:
                return self._study.should_prune(number, evaluations)

        return should_prune

    def _finish(self, number: int, point: Point, answer: Message) -> None:
        facts = dict(answer)
        ending, value = facts.pop("ending"), facts.pop("value", None)
        with self._lock:
            self._study.finish(number, ending, value, **facts)
            if ending == "error":
                raise CnnlabError(f"trial {number}: {facts['error']}")
            if ending != "stopped":
                named = self._plan.space.named(point).items()
                values = ", ".join(f"{name}={short(value)}" for name, value in named)
                self._say(f"trial {number}: {values}: {_describe(answer, self._plan.metric)}")

    def _secs_left(self) -> float | None:
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        return left if left > _MIN_SECS else 0.0


def _describe(answer: Message, metric: str) -> str:
    """How a trial ended, for people."""
    if answer["ending"] == "complete":
        return f"validation {metric} {answer['value']:.4f}"
    if answer["ending"] == "pruned":
        return f"pruned at step {answer['step']}"
    return f"failed: {answer['error']}"
