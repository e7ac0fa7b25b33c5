"""The worker processes of a search, and the crew that gives them their trials.

One thread per worker process exchanges messages with it. Only this process uses the study, and only
one thread at a time, so SQLite is enough for any number of workers.
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

HEARTBEAT_SECS = 60.0
_MIN_SECS = 0.001

Message = dict[str, Any]


class Plan(NamedTuple):
    """What all trials of a study have in common.

    Attributes:
        options: the options of a run that do not vary.
        space: the options that vary.
        total: the number of trials of the study, those of all machines together.
        metric: accuracy or loss.
        prunes: whether poor trials are ended early.
        folder: the study directory.
        log_dir: folder of the event files of all trials.
        max_secs: stop after this time, in seconds; None: no limit.
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
    """Return the name of a trial's run directory and of its folder of event files."""
    return f"trial-{number:04d}"


class Worker:
    """A process that runs trials, one at a time."""

    def __init__(self, number: int, folder: Path) -> None:
        """Start the process.

        Args:
            number: the number of the worker, from 1.
            folder: the folder of worker-NUMBER.log, the log of its trainings.
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
                # So that Control-C only reaches this process, which stops the workers in order.
                start_new_session=True,
            )

    def send(self, message: Message) -> None:
        """Send a message. Do nothing if the process has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):  # ValueError: closed
            return

    def run(self, job: Message, should_prune: Callable[[list[Any]], bool]) -> Message:
        """Run a trial, and answer whether to prune it when the worker asks.

        Args:
            job: the trial; see `cnnlab.tune.worker`.
            should_prune: takes the evaluations so far.

        Returns:
            how the trial ended; see `cnnlab.tune.worker.run_trial`.

        Raises:
            CnnlabError: the process ended without an answer.
        """
        assert self._process.stdout is not None
        self.send(job)
        for line in self._process.stdout:
            message: Message = json.loads(line)
            if "ending" in message:
                return message
            self.send({"prune": should_prune(message["evaluations"])})
        code = self._process.wait()
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        raise CnnlabError(
            f"a worker has ended {how} in trial {job['trial']}; see {self._log}; the same command "
            "resumes the trial"
        )

    def close(self) -> None:
        """End the process, and wait for its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Crew:
    """The workers of one search."""

    def __init__(self, study: Study, plan: Plan, say: Callable[[str], None]) -> None:
        """Prepare the search.

        Args:
            study: gives the trials and keeps their results.
            plan: what all trials have in common.
            say: called with a line when a trial has ended.
        """
        self._study = study
        self._plan = plan
        self._say = say
        self._lock = threading.Lock()
        self._stopping = False
        self._workers: list[Worker] = []
        self._deadline = None if plan.max_secs is None else time.monotonic() + plan.max_secs

    def run(self, count: int) -> None:
        """Run trials, `count` at a time, until none is left or the time is over.

        Trials that other machines run at the moment do not count as left. However the search ends,
        the unfinished trials are saved and back in the queue.

        Raises:
            CnnlabError: an error for which no single trial is responsible, as a full disk.
        """
        with ThreadPoolExecutor(count) as pool:
            futures = [pool.submit(self._drive, number) for number in range(1, count + 1)]
            try:
                pending = set(futures)
                while pending:
                    done, pending = wait(pending, HEARTBEAT_SECS, FIRST_EXCEPTION)
                    for future in done:
                        future.result()
                    with self._lock:
                        self._study.send_heartbeats()
            finally:
                self._stop()

    def _stop(self) -> None:
        with self._lock:
            self._stopping = True
            workers = list(self._workers)
        for worker in workers:
            worker.send({"stop": True})

    def _drive(self, number: int) -> None:
        """Give one worker trial after trial."""
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
                worker.send({"experiment": experiment, "log_dir": str(self._plan.log_dir)})
            if self._stopping:
                worker.send({"stop": True})
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
    """Describe for people how a trial ended."""
    if answer["ending"] == "complete":
        return f"validation {metric} {answer['value']:.4f}"
    if answer["ending"] == "pruned":
        return f"pruned at step {answer['step']}"
    return f"failed: {answer['error']}"
