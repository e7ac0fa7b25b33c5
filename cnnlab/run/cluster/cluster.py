"""The workers of a run: this one's server, and what they all must agree on.

Every worker runs the same program on the same options. The chief reads and writes the run
directory, and passes on what it finds there. What depends on time or on a signal is agreed before
each session run.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.printing import print_lines
from cnnlab.base.tf1 import open_session, tf
from cnnlab.config.config import Config
from cnnlab.graph.update.reduction import GROUP, Share
from cnnlab.run.cluster.loopback import are_loopback, close_to_the_network
from cnnlab.run.cluster.messages import Messages, session_config_of
from cnnlab.run.cluster.place import Place
from cnnlab.run.control import Control
from cnnlab.run.hook import RunPlan

TRAINING_GRAPH = 1

ValueT = TypeVar("ValueT")

_numbers = itertools.count()  # of the runs of this process
_servers: dict[Place, Any] = {}  # a port is bound until the process ends


class Cluster:
    """The workers of a run, as one of them sees them.

    Attributes:
        place: which worker this is.
        share: the same, for the graph.
        messages: to all other workers.
    """

    def __init__(self, place: Place, config: Config) -> None:
        """Start this worker's server, or use the one that the process has.

        Args:
            place: which worker this is.
            config: gives reduce and worker_timeout_secs.

        Raises:
            CnnlabError: the port cannot be used.
        """
        self.place = place
        # Odd numbers; messages have an even one. All workers make the same runs.
        group = GROUP + 2 * next(_numbers)
        self.share = Share(place.workers, place.worker, config.reduce, group=group)
        if place not in _servers:
            try:
                _servers[place] = tf.train.Server(
                    {"worker": list(place.addresses)},
                    job_name="worker",
                    task_index=place.worker,
                    config=session_config_of(place),
                )
            except tf.errors.OpError as error:
                raise CnnlabError(
                    f"{place.name_of(place.worker)} cannot listen at its port: another process has "
                    "it, or it is not of this machine; change TF_CONFIG"
                ) from error
            if are_loopback(place.addresses) and not close_to_the_network(place.port):
                print_lines(f"note: port {place.port} is open to the network", to_stderr=True)
        self._server = _servers[place]
        self.messages = Messages(place, self._server, config.worker_timeout_secs)

    def open_session(self, graph: Any, config: Any) -> Any:
        """Return a new `tf.Session` whose collective operations reach the other workers.

        Args:
            graph: the `tf.Graph`.
            config: a ConfigProto.
        """
        return open_session(graph, session_config_of(self.place, config), self._server.target)

    def from_chief(self, find: Callable[[], ValueT]) -> ValueT:
        """Return what the chief finds, or raise its error.

        Args:
            find: returns what JSON can write. Only the chief calls it.

        Raises:
            CnnlabError: `find` raised it.
        """
        said: dict[str, Any] = {}
        failure: CnnlabError | None = None
        if self.place.is_chief:
            try:
                said["value"] = find()
            except CnnlabError as error:
                failure, said = error, {"error": str(error), "code": error.exit_code}
        said = self.messages.exchange(said, "waiting for the chief")[0]
        if failure is not None:
            raise failure
        if "error" in said:
            kind = UsageError if said["code"] == UsageError.exit_code else CnnlabError
            raise kind(f"worker 0, the chief: {said['error']}")
        value: ValueT = said["value"]
        return value

    def agree(self, control: Control, plan: RunPlan) -> bool:
        """Agree on the next session run; return whether there is one.

        The plan becomes the chief's. If one worker must stop, all stop.

        Args:
            control: of this worker's run.
            plan: the session run that this worker would make.
        """
        number = control.stop_signal or 0
        ours = [int(control.is_stopping), int(number), plan.steps]
        said = self.messages.gather_numbers(ours, f"before step {plan.step + 1}")
        plan.steps = said[0][2]
        for index, (is_stopping, signal_number, _) in enumerate(said):
            if not is_stopping:
                continue
            if not control.is_stopping:
                control.stop(f"{self.place.name_of(index)} stops")
            if signal_number and control.stop_signal is None:
                control.stop_signal = signal_number
        return not control.is_stopping

    def step_secs_of_all(self, secs: float) -> dict[str, float]:
        """Return the seconds of own work a step of each worker, by its name.

        Args:
            secs: of this worker.
        """
        rows = self.messages.gather_numbers([int(min(secs, 2000.0) * 1e6)], "step times")
        names = map(self.place.name_of, range(self.place.workers))
        return {name: row[0] / 1e6 for name, row in zip(names, rows, strict=True)}

    @contextmanager
    def steps_watched(self, plan: RunPlan) -> Iterator[None]:
        """Prepare a session run of training steps, and name the worker that fails in it."""
        options = plan.arguments.get("options")
        plan.arguments["options"] = self.messages.options(TRAINING_GRAPH, options)
        with self.messages.watched(f"training after step {plan.step}"):
            yield

    def share_state(self, saver: Any, session: Any) -> None:
        """Give the variables of all workers the chief's values.

        Args:
            saver: the `tf.train.Saver`, whose variables count.
            session: holds the variables.
        """
        variables = [one for one in saver._var_list if one.dtype.base_dtype != tf.string]
        values = session.run(variables)
        content = b"".join(value.tobytes() for value in values) if self.place.is_chief else b""
        content = self.messages.broadcast(content, "sharing the weights")
        if self.place.is_chief:
            return
        start = 0
        for variable, value in zip(variables, values, strict=True):
            array = np.frombuffer(content, value.dtype, value.size, start).reshape(value.shape)
            start += value.nbytes
            # One by one: two variables may start from the same tensor.
            session.run(variable.initializer, {variable.initializer.inputs[1]: array})

    def close(self) -> None:
        """Wait for the others, and free the session of the messages."""
        self.messages.close()
