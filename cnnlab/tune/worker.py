"""One worker of a search: a process that makes the trials it is told to make.

It reads one JSON document a line from stdin and answers on stdout; what training says goes to
stderr. It ends when stdin does, so a killed search leaves no worker behind.

    -> {"trial": 7, "options": {...}, "metric": "accuracy", "prunes": true, "values": {...}}
    <- {"evaluations": [[1, 0.91], [2, 0.93]]}        after each, where trials are pruned
    -> {"prune": false}
    <- {"ending": "complete", "value": 0.96, ...}     see `run_trial`
    -> {"stop": true}                                 at any time: save and answer "stopped"
"""

from __future__ import annotations

import json
import math
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cnnlab.base.errors import CnnlabError, NonFiniteError
from cnnlab.base.signals import Interrupted, signals_raised
from cnnlab.run.disk.metrics_file import read_metrics
from cnnlab.run.hook import Hook, Run, StepState
from cnnlab.train import Train
from cnnlab.tune import dashboard

Message = dict[str, Any]
Ask = Callable[[Message], Message]


class PruningHook(Hook):
    """Reports each evaluation on validation data, and stops the run when told to prune it.

    It acts after the standard hooks, so the evaluation is written down and, where one is due, the
    checkpoint saved.

    Attributes:
        has_pruned: whether the run was stopped.
    """

    def __init__(self, every_steps: int, metric: str, ask: Ask) -> None:
        """Args:
        every_steps: the run's eval_steps.
        metric: accuracy or loss.
        ask: sends a report and returns the answer.
        """
        self.every_steps = every_steps
        self._metric = metric
        self._ask = ask
        self.has_pruned = False

    def begin(self, train: Run) -> None:
        self._report(train, train.step)  # killed after an evaluation and before the answer to it

    def after_step(self, train: Run, state: StepState) -> None:
        if state.step < state.total_steps:  # the last step's figure is the trial's value
            self._report(train, state.step)

    def _report(self, train: Run, step: int) -> None:
        evaluations = [
            (math.ceil(line["step"] / self.every_steps), line[self._metric])
            for line in read_metrics(Path(train.config.save_dir), step)
            if line["split"] == "val"
        ]
        if evaluations and self._ask({"evaluations": evaluations})["prune"]:
            self.has_pruned = True
            train.stop("pruned: other trials were better by then")


def run_trial(job: Message, ask: Ask) -> Message:
    """Make a trial, or what is left of it.

    Returns:
        ending: complete (with value, the validation metric of the weights it ends with,
        test_accuracy, step and seconds), pruned, failed (with error), stopped (it can go on), or
        error (with error: it is not the trial's fault).
    """
    options = job["options"]
    print(f"trial {job['trial']}: {job['values']}", file=sys.stderr, flush=True)
    hook = PruningHook(options["eval_steps"], job["metric"], ask)
    try:
        with _build(options, [hook] if job["prunes"] else []) as train:
            return _ending(train.train(), hook.has_pruned, job)
    except (NonFiniteError, _WrongOptionsError) as error:
        return {"ending": "failed", "error": str(error)}
    except (CnnlabError, OSError, MemoryError) as error:
        return {"ending": "error", "error": str(error) or "out of memory"}


class _WrongOptionsError(Exception):
    """No network can be made with a trial's options."""


def _build(options: Message, hooks: Sequence[Hook]) -> Train:
    """The network, before data and disk, whose failures are not the trial's, come into play."""
    try:
        train = Train(**options, hooks=hooks)
        train.build_graph()
    except CnnlabError as error:
        raise _WrongOptionsError(str(error)) from error
    return train


def _ending(result: Message, has_pruned: bool, job: Message) -> Message:
    if has_pruned:
        return {"ending": "pruned", "step": result["step"], "seconds": result["seconds"]}
    if not result["finished"]:
        return {"ending": "stopped"}
    step = result["best"]["step"] if job["options"]["restore_best"] else result["step"]
    lines = read_metrics(Path(job["options"]["save_dir"]), step)
    value = [line[job["metric"]] for line in lines if line["split"] == "val"][-1]
    if not math.isfinite(value):
        return {"ending": "failed", "error": f"the validation {job['metric']} is {value}"}
    return {
        "ending": "complete",
        "value": value,
        "test_accuracy": result["accuracy"],
        "step": result["step"],
        "seconds": result["seconds"],
    }


def _listen(messages: queue.Queue[Message]) -> None:
    """Hand on what comes from stdin; at its end leave at once, as if killed."""
    for line in sys.stdin:
        message = json.loads(line)
        if "stop" in message:
            os.kill(os.getpid(), signal.SIGTERM)  # training saves then
        else:
            messages.put(message)
    os._exit(1)


def main() -> None:
    """The process's story; see the module."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else is printed is no answer

    def tell(message: Message) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    def ask(message: Message) -> Message:
        tell(message)
        return messages.get()

    messages: queue.Queue[Message] = queue.Queue()
    threading.Thread(target=_listen, args=(messages,), daemon=True).start()
    try:
        with signals_raised():
            while True:
                job = messages.get()
                if "experiment" in job:
                    dashboard.write_experiment(Path(job["log_dir"]), job["experiment"])
                else:
                    tell(run_trial(job, ask))
    except Interrupted:  # outside of training, where nothing is to be saved
        tell({"ending": "stopped"})


if __name__ == "__main__":
    main()
