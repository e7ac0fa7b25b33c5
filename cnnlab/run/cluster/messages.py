"""Messages between the workers of a run, over TensorFlow's collective operations.

All workers must make the same calls in the same order. A call ends when every worker has made it,
or fails after the timeout.
"""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import open_session, reason_of, tf
from cnnlab.run.cluster.launcher import TRY_AGAIN
from cnnlab.run.cluster.lost import PATIENCE_SECS, lost_workers
from cnnlab.run.cluster.place import Place
from cnnlab.run.cluster.watchdog import Watchdog

MESSAGES_GRAPH: Final = 2  # numbers that are equal on all workers, one for each kind of graph
GROUP: Final = 2
_CHUNK: Final = 2**22  # numbers of 4 bytes in one message

# What TensorFlow says if the first exchange is one of several numbers of workers.
_SIZES: Final = re.compile(r"joining a group with size\s*(\d+), but that group has size\s*(\d+)")

# TensorFlow remembers the shape of each key. So each shape has two keys, used in turn. All workers
# send the same shapes in the same order, and number them equally.
_keys: dict[tuple[str, int], Iterator[int]] = {}


class WorkerLostError(CnnlabError):
    """Another worker of the run has failed. Commands exit with 75: try again."""

    exit_code = TRY_AGAIN


class Messages:
    """The means by which a worker talks to all others.

    Attributes:
        place: which worker this is.
    """

    def __init__(self, place: Place, server: Any, timeout_secs: float) -> None:
        """Open a session for messages.

        Args:
            place: which worker this is.
            server: the `tf.train.Server` of this worker.
            timeout_secs: seconds after which a worker that does not answer counts as lost.
        """
        self.place, self._timeout_secs = place, timeout_secs
        self._have_met = False  # whether all workers have made a call together
        graph = tf.Graph()
        with building_in(graph), tf.device("/cpu:0"):
            self._key_ph = tf.placeholder(tf.int32, [])
            self._numbers_ph = tf.placeholder(tf.int32, [None])
            self._rows_ph = tf.placeholder(tf.float32, [None])
            self._gathered = [
                self._gather(one, name)
                for one, name in ((self._numbers_ph, "numbers"), (self._rows_ph, "rows"))
            ]
            group = {
                "group_size": place.workers,
                "group_key": GROUP,
                "instance_key": self._key_ph,
            }
            self._length_ph = tf.placeholder(tf.int32, [1])
            if place.is_chief:
                self._sent = tf.raw_ops.CollectiveBcastSendV2(
                    input=self._numbers_ph, name="sent", **group
                )
            else:
                self._sent = tf.raw_ops.CollectiveBcastRecvV2(
                    shape=self._length_ph, T=tf.int32, name="sent", **group
                )
        self._session = open_session(graph, session_config_of(place), server.target)
        self._watchdog = Watchdog(
            lambda what: self._loss(what, is_late=True), WorkerLostError.exit_code
        )

    def _gather(self, values: Any, name: str) -> Any:
        return tf.raw_ops.CollectiveGatherV2(
            input=values,
            group_size=self.place.workers,
            group_key=GROUP,
            instance_key=self._key_ph,
            ordering_token=[],
            name=name,
        )

    def options(self, graph_key: int, options: Any = None) -> Any:
        """Return the RunOptions of a session run with collective operations.

        Args:
            graph_key: a number of the graph, equal on all workers.
            options: RunOptions to add to.
        """
        options = tf.RunOptions() if options is None else options
        options.timeout_in_ms = max(1, int(self._timeout_secs * 1000))
        options.experimental.collective_graph_key = graph_key
        return options

    @contextmanager
    def watched(self, what: str) -> Iterator[None]:
        """Translate the failure of another worker, inside the block, into an error that names it.

        Args:
            what: what the block does, as in "training after step 20".

        Raises:
            WorkerLostError: names the workers that do not answer.
            UsageError: the workers' lists in TF_CONFIG have different lengths.
        """
        lost_kinds = (
            tf.errors.UnavailableError,
            tf.errors.DeadlineExceededError,
            tf.errors.AbortedError,
            tf.errors.CancelledError,
            tf.errors.InternalError,
            tf.errors.FailedPreconditionError,
        )
        self._watchdog.begin(what, self._timeout_secs)
        try:
            yield
        except lost_kinds as error:
            self._watchdog.end()
            if not self._have_met and (sizes := _SIZES.search(str(error))):
                raise UsageError(self._other_list(sizes.groups())) from error
            is_late = isinstance(error, tf.errors.DeadlineExceededError)
            raise WorkerLostError(self._loss(what, is_late=is_late, error=error)) from error
        finally:
            self._watchdog.end()

    def _loss(self, what: str, *, is_late: bool, error: Exception | None = None) -> str:
        """Return the line that names the workers that do not answer."""
        lost = lost_workers(self.place)
        if self.place.workers > 2:  # the others ask too, and must not miss this one
            time.sleep(PATIENCE_SECS)
        names = ", ".join(self.place.name_of(index) for index in lost)
        if lost:
            who = f"{names} {'does' if len(lost) == 1 else 'do'} not answer"
        elif is_late or error is None:
            who = "all workers answer, but one is too slow (see --worker_timeout_secs)"
        else:
            who = f"a worker failed: {reason_of(error)}"
        waited = f" after {self._timeout_secs:g} seconds" if is_late else ""
        remedy = "start all workers again; a training run resumes from its last checkpoint"
        if not self._have_met:
            remedy = (
                "start all workers, each with its own index, and with the same list in TF_CONFIG; "
                f"here it is {', '.join(self.place.addresses)}"
            )
        return f"{what}{waited}: {who}; {remedy}"

    def _other_list(self, sizes: Sequence[str]) -> str:
        """Return the line for lists of different lengths, of which TensorFlow names two."""
        ours = self.place.workers
        other = next((size for size in sizes if size != str(ours)), "another number")
        return (
            f"TF_CONFIG lists {ours} workers here and {other} on another worker; give all workers "
            f"the same list; here it is {', '.join(self.place.addresses)}"
        )

    def _run(self, fetch: Any, feeds: dict[Any, Any], what: str) -> Any:
        length = max(len(values) for values in feeds.values())
        kind = (fetch.name, length)
        if kind not in _keys:
            first = 2 * len(_keys) + 1
            _keys[kind] = itertools.cycle((first, first + 1))
        feeds = {self._key_ph: next(_keys[kind]), **feeds}
        with self.watched(what):
            found = self._session.run(fetch, feeds, options=self.options(MESSAGES_GRAPH))
        self._have_met = True
        return found

    def gather_numbers(self, numbers: list[int], what: str) -> list[list[int]]:
        """Return the numbers of all workers, as many of each, in the order of the workers.

        Args:
            numbers: int32.
            what: what they are for, in the error.
        """
        feeds = {self._numbers_ph: np.asarray(numbers, np.int32)}
        gathered = self._run(self._gathered[0], feeds, what)
        rows: list[list[int]] = gathered.reshape(self.place.workers, -1).tolist()
        return rows

    def exchange(self, value: Any, what: str) -> list[Any]:
        """Return the values of all workers, in the order of the workers.

        Args:
            value: what JSON can write.
            what: what it is, in the error.
        """
        content = json.dumps(value).encode()
        lengths = [one for (one,) in self.gather_numbers([len(content)], what)]
        padded = content.ljust(-(-max(lengths) // 4) * 4)
        rows = self.gather_numbers(np.frombuffer(padded, np.int32).tolist(), what)
        texts = [np.asarray(row, np.int32).tobytes() for row in rows]
        return [json.loads(text[:n]) for text, n in zip(texts, lengths, strict=True)]

    def broadcast(self, content: bytes, what: str) -> bytes:
        """Return the chief's bytes.

        Args:
            content: of the chief; that of the others does not count.
            what: what it is, in the error.
        """
        high, low = divmod(len(content), 2**31)
        high, low = self.gather_numbers([high, low], what)[0]
        length = high * 2**31 + low
        numbers = -(-length // 4)
        padded = np.zeros(numbers, np.int32)
        if self.place.is_chief:
            padded.view(np.uint8)[:length] = np.frombuffer(content, np.uint8)
        for start in range(0, numbers, _CHUNK):
            part = padded[start : start + _CHUNK]
            feeds = {self._numbers_ph: part, self._length_ph: [len(part)]}  # each needs one of them
            part[:] = self._run(self._sent, feeds, what)
        return padded.tobytes()[:length]

    def gather_rows(self, rows: npt.NDArray[np.float32], what: str) -> npt.NDArray[np.float32]:
        """Return the rows of all workers, in the order of the workers.

        Args:
            rows: float32 [n, k]; n may differ between workers, and k does not count if n is 0.
            what: what they are, in the error.
        """
        shapes = self.gather_numbers([*rows.shape], what)
        lengths, width = [n for n, _ in shapes], max((k for n, k in shapes if n), default=0)
        padded = np.zeros((max(lengths), width), np.float32)
        if len(rows):
            padded[: len(rows)] = rows
        flat = self._run(self._gathered[1], {self._rows_ph: padded.reshape(-1)}, what)
        blocks = flat.reshape(self.place.workers, *padded.shape)
        return np.concatenate([block[:n] for block, n in zip(blocks, lengths, strict=True)])

    def close(self) -> None:
        """Free the session."""
        self._watchdog.close()
        self._session.close()


def session_config_of(place: Place, config: Any = None) -> Any:
    """Return the ConfigProto with which this worker's sessions see its own devices only.

    Args:
        place: which worker this is.
        config: a ConfigProto to add to.
    """
    config = tf.ConfigProto(allow_soft_placement=True) if config is None else config
    config.device_filters.append(f"/job:worker/task:{place.worker}")
    config.experimental.collective_group_leader = "/job:worker/replica:0/task:0"
    # Else the server keeps the variables of all runs of this process, by name.
    config.isolate_session_state = True
    return config
