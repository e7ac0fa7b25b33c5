"""A worker of a search: a process that runs one trial after the other.

It reads messages from stdin and answers on stdout; each is a line of JSON. The output of training
goes to stderr. The worker ends when stdin is closed, so a killed search leaves no worker behind.

    -> {"trial": 7, "options": {...}, "metric": "accuracy", "prunes": true, "values": {...}}
    <- {"evaluations": [[1, 0.91], [2, 0.93]]}        after each evaluation, with a pruner
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
from cnnlab.base.printing import print_lines
from cnnlab.base.signals import Interrupted, signals_raised
from cnnlab.run.disk.metrics_file import METRICS_FILE, read_metrics
from cnnlab.run.hook import Hook, Run, StepState
from cnnlab.train import Train
from cnnlab.tune import dashboard

Message = dict[str, Any]
Ask = Callable[[Message], Message]


class PruningHook(Hook):
    """Reports each evaluation on the validation set, and stops the run if the answer says so.

    It acts after the standard hooks. By then, the evaluation is in the metrics file, and the
    checkpoint of the step, if any, is saved.

    Attributes:
        has_pruned: whether the run was stopped.
    """

    def __init__(self, metric: str, ask: Ask) -> None:
        """Create the hook.

        Args:
            metric: accuracy or loss.
            ask: sends a message and returns the answer.
        """
        self._metric = metric
        self._ask = ask
        self.has_pruned = False

    def begin(self, train: Run) -> None:
        self.every_steps = train.config.eval_period(train.data.epoch_size)
        # The worker may have been killed after an evaluation, before it got the answer.
        self._report(train, train.step)

    def after_step(self, train: Run, state: StepState) -> None:
        if state.step < state.total_steps:  # after the last step, there is nothing to prune
            self._report(train, state.step)

    def _report(self, train: Run, step: int) -> None:
        evaluations = [
            ((line["step"] - 1) // self.every_steps + 1, line[self._metric])
            for line in read_metrics(Path(train.config.save_dir), step)
            if line["split"] == "val"
        ]
        if evaluations and self._ask({"evaluations": evaluations})["prune"]:
            self.has_pruned = True
            train.stop("pruned: other trials were better at this step")


def run_trial(job: Message, ask: Ask) -> Message:
    """Run a trial, or resume it.

    Args:
        job: the message with the trial; see the module.
        ask: sends a message and returns the answer.

    Returns:
        ending, one of these, and what the brackets list:

        - complete (value, test_accuracy, step, seconds): value is the validation metric of the
          weights at the end
        - pruned (step, seconds)
        - failed (error): the options of the trial are to blame
        - stopped: the trial can be resumed
        - error (error): something else is to blame, as a full disk
    """
    options = job["options"]
    print_lines(f"trial {job['trial']}: {job['values']}", to_stderr=True)
    hook = PruningHook(job["metric"], ask)
    try:
        with _build(options, [hook] if job["prunes"] else []) as train:
            return _ending(train.train(), hook.has_pruned, job)
    except (NonFiniteError, _WrongOptionsError) as error:
        return {"ending": "failed", "error": str(error)}
    except (CnnlabError, OSError, MemoryError) as error:
        return {"ending": "error", "error": str(error) or "out of memory"}


class _WrongOptionsError(Exception):
    """Raised if no network can be built with the options of a trial."""


def _build(options: Message, hooks: Sequence[Hook]) -> Train:
    """Build the network first, without data and disk: their errors are not the trial's fault."""
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
    best, save_dir = result["best"], Path(job["options"]["save_dir"])
    step = best["step"] if job["options"]["restore_best"] and best else result["step"]
    lines = read_metrics(save_dir, step)
    values = [line[job["metric"]] for line in lines if line["split"] == "val"]
    if not values:
        raise CnnlabError(f"{save_dir / METRICS_FILE} has no evaluation on the validation set")
    value = values[-1]
    if not math.isfinite(value):
        return {"ending": "failed", "error": f"the validation {job['metric']} is {value}"}
    return {
        "ending": "complete",
        "value": value,
        "test_accuracy": result.get("accuracy"),  # real values have none
        "step": result["step"],
        "seconds": result["seconds"],
    }


def _listen(messages: queue.Queue[Message]) -> None:
    """Put the messages from stdin into the queue. At the end of stdin, exit at once."""
    for line in sys.stdin:
        message = json.loads(line)
        if "stop" in message:
            os.kill(os.getpid(), signal.SIGTERM)  # on which training saves and stops
        else:
            messages.put(message)
    os._exit(1)


def main() -> None:
    """Run the worker; see the module."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # so that nothing else is printed among the answers

    def send(message: Message) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    def ask(message: Message) -> Message:
        send(message)
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
                    send(run_trial(job, ask))
    except Interrupted:  # between two trials, when there is nothing to save
        send({"ending": "stopped"})


if __name__ == "__main__":
    main()
