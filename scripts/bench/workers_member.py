"""One worker of workers.py: `python workers_member.py TASK`, then one command a line on stdin.

Task, commands and answers are JSON. Everything is kept between two commands, so that the groups of
workers can be measured in turns.
"""

import itertools
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's scripts and cnnlab

import numpy as np

from cnnlab import Train, tf
from cnnlab.base.surroundings import building_in
from cnnlab.config.options import replace
from cnnlab.graph import micro_batches, step, training_graph
from cnnlab.graph.update.reduction import Share, sum_over_workers
from cnnlab.run.loop import run_steps

TASK = json.loads(sys.argv[1])
SHAPES = {"cifar_cnn": (32, 32, 3), "mnist_mlp": (28, 28, 1)}
NUM_IMAGES = 5000  # the step's time does not depend on it
FIRST_GROUP = 1001  # odd, and above those of runs; see `Share`
COLLECTIVES = ("CollectiveGatherV2", "CollectiveReduceV2", "CollectiveAllToAllV2")
_graph_keys = itertools.count(50)


class Member:
    """A worker, alone or of several, that waits for commands."""

    def __init__(self, train: Train) -> None:
        self.train = train
        self._sums: dict[tuple[int, bool], Any] = {}

    def steps(self, count: int) -> float:
        """Make training steps; return the seconds."""
        end = self.train.step + count
        started = time.perf_counter()
        run_steps(self.train, (), end)
        return time.perf_counter() - started

    def single_steps(self, count: int) -> float:
        """Make training steps, one a session run, as long steps are; return the seconds."""
        config = self.train.config
        self.train.config = replace(config, steps_per_run=1)
        try:
            return self.steps(count)
        finally:
            self.train.config = config

    def agreements(self, count: int) -> float:
        """Make the exchanges before `count` session runs; return the seconds."""
        messages = self.train.cluster.messages
        started = time.perf_counter()
        for _ in range(count):
            messages.gather_numbers([0, 0, 1], "measuring")
        return time.perf_counter() - started

    def sums(self, count: int, size: int, is_rounded: bool = False) -> float:
        """Add a buffer of `size` float32 over all workers, `count` times; return the seconds."""
        key = size, is_rounded
        if key not in self._sums:
            self._sums[key] = self._build_sums(size, is_rounded)
        run, options = self._sums[key]
        started = time.perf_counter()
        run(count, options=options)
        return time.perf_counter() - started

    def _build_sums(self, size: int, is_rounded: bool) -> Any:
        cluster = self.train.cluster
        share = Share(*cluster.share[:3], group=FIRST_GROUP + 2 * len(self._sums))
        graph = tf.Graph()
        with building_in(graph), tf.device("/cpu:0"):
            count = tf.placeholder(tf.int32, [])

            def body(i: Any, buffer: Any) -> Any:
                step = tf.cast(i, tf.int64)
                return i + 1, *sum_over_workers([buffer], share, step, [is_rounded])

            _, total = tf.while_loop(
                lambda i, _: i < count, body, (tf.constant(0), tf.zeros([size])),
                parallel_iterations=1,
            )  # fmt: skip
            one = total[0]  # what is not fetched is not computed
        session = cluster.open_session(graph, tf.ConfigProto())
        options = cluster.messages.options(next(_graph_keys))
        return session.make_callable([one], [count], accept_options=True), options

    def exchanges(self) -> list[dict[str, Any]]:
        """Return kind, numbers and bytes a number of each exchange of a step.

        Those outside the loop of steps, as of the last logits, are made once a session run.
        """
        found = []
        graph = self.train.graph
        for function in graph.as_graph_def().library.function:
            body = getattr(graph._get_function(function.signature.name), "graph", None)
            for op in [] if body is None else body.get_operations():
                if op.type in COLLECTIVES:
                    buffer = op.inputs[0]
                    numbers = buffer.shape.num_elements()
                    found.append({"kind": op.type, "n": numbers, "bytes": buffer.dtype.size})
        unique = {json.dumps(one): one for one in found}
        return list(unique.values())

    def parameters(self) -> int:
        """Return the number of weights that are trained."""
        with self.train.graph.as_default():
            return sum(v.shape.num_elements() for v in tf.trainable_variables())


def one_part_each(build_pass: Any, batch: Any, number: Any, count: int, **given: Any) -> Any:
    """Stand in for `build_micro_batches`: a part for each worker, and the task's buffers.

    The second buffer has the gradients of the last layers, about half of all numbers.
    """
    share, size = given["share"], TASK["batch_size"] // count
    start = share.worker * size
    part = {name: one[start : start + size] for name, one in batch.items()}
    if given["own"] is not None:
        part["inputs"] = batch["inputs"]
    result = build_pass(part, number * count + share.worker, lambda: tf.constant(True))
    sums = [result.objective / count, *(one / count for one in result.gradients)]
    cut, late = len(sums), []
    if TASK["buffers"] > 1:
        sizes = [one.shape.num_elements() for one in sums]
        cut = next(i for i in range(len(sums)) if 2 * sum(sizes[i:]) <= sum(sizes))
        other = share._replace(group=share.group + 500)
        late = sum_over_workers(sums[cut:], other, number)
    objective, *gradients = [*sum_over_workers(sums[:cut], share, number), *late]
    return result._replace(objective=objective, gradients=gradients)


def make_train(folder: str) -> Train:
    """Return the run of the task, on images of noise."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (NUM_IMAGES, *SHAPES[TASK["model"]]), np.uint8)
    labels = np.arange(NUM_IMAGES) % 10
    train = Train(
        data=((images, labels), (images[:500], labels[:500])),
        save_dir=f"{folder}/save",
        log_dir=f"{folder}/logs",
        **{name: TASK[name] for name in ("model", "batch_size", "micro_batches", "reduce")},
    )
    train._resolve(None, {})
    return train


def main() -> None:
    """Do what stdin says. What libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as folder, make_train(folder) as train:
        if TASK["sums_nothing"]:  # the same work as that of a worker, without the others
            train._share = Share(TASK["workers"], TASK["worker"])
            micro_batches.sum_over_workers = lambda sums, *_: list(sums)
            training_graph.gather_rows = lambda rows, share: tf.tile(rows, [share.workers, 1])
        if TASK.get("buffers"):
            step.build_micro_batches = one_part_each
        with train._with_workers():
            member = Member(train)
            for line in sys.stdin:
                command, *arguments = json.loads(line)
                if command == "end":
                    break
                cpu_secs = time.process_time()
                answer = getattr(member, command)(*arguments)
                cpu_secs = time.process_time() - cpu_secs
                print(json.dumps([answer, cpu_secs]), file=answers, flush=True)


if __name__ == "__main__":
    main()
