"""A run that several workers may share; without TF_CONFIG it is that of one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from cnnlab.base.printing import notes_silenced
from cnnlab.graph.update.reduction import ALONE
from cnnlab.run.cluster.cluster import Cluster
from cnnlab.run.cluster.equal_workers import (
    check_count,
    check_equal,
    check_sync_bn,
    facts_of,
)
from cnnlab.run.cluster.place import place_of
from cnnlab.run.cluster.shared_evaluation import completed
from cnnlab.run.cluster.sharing import NoLog, SharedDirectory
from cnnlab.run.disk.config_file import CONFIG_FILE
from cnnlab.run.disk.lock import locked
from cnnlab.run.disk.log_folder import log_dir_locked
from cnnlab.run.disk.run_directory import RunDirectory
from cnnlab.run.hooked import HookedRun
from cnnlab.run.log import RunLog

ValueT = TypeVar("ValueT")


class SharedRun(HookedRun):
    """A run that the workers which TF_CONFIG names share, while it trains.

    Attributes:
        cluster: the workers; None: this process is alone, or does not train now.
    """

    cluster: Cluster | None = None

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run's files: worker 0 does, and a process alone."""
        return self.cluster is None or self.cluster.place.is_chief

    def _share_batches(self) -> None:
        """Cut the batches of a new run into a part for each worker, if the options do not cut them.

        Raises:
            UsageError: the workers do not divide a batch.
        """
        count, config = place_of().workers, self.config
        holds_run = (Path(config.save_dir) / CONFIG_FILE).is_file() and not config.overwrite
        if count > 1 and config.micro_batches == 1 and not holds_run:
            self._given["micro_batches"] = count
            self._use_run_options()

    @contextmanager
    def _with_workers(self) -> Iterator[None]:
        """Share the run with the other workers inside the block, if there are any.

        Raises:
            UsageError: TF_CONFIG is wrong, or the workers differ in what must be equal.
            WorkerLostError: one does not answer.
        """
        place = place_of()
        check_sync_bn(place, self.config)
        if place.workers == 1:
            yield
            return
        check_count(place, self.config)
        self.close()  # a graph that was built before is that of one process
        self.cluster = cluster = Cluster(place, self.config)
        self._share, self._complete = cluster.share, partial(completed, cluster)
        try:
            facts = facts_of(place, self.config, self.data, self._fingerprints)
            messages = cluster.messages
            check_equal(place, messages.exchange(facts, "waiting for all workers"))
            with notes_silenced(not place.is_chief):
                yield
            messages.gather_numbers([place.worker], "at the end")  # no server ends before that
        finally:
            cluster.close()
            self.cluster = self._complete = None
            self._share = ALONE

    def _as_chief(self, find: Callable[[], ValueT]) -> ValueT:
        """Return what the chief finds, or raise its error."""
        return find() if self.cluster is None else self.cluster.from_chief(find)

    def _run_directory(self) -> RunDirectory:
        if self.cluster is None:
            return RunDirectory(self.config, self.data.epoch_size)
        return SharedDirectory(self.config, self.data.epoch_size, self.cluster)

    def _open_log(self, directory: RunDirectory) -> RunLog:
        if not self.is_chief:
            return NoLog()
        return RunLog(directory.path, self.config.resolved_log_dir, self.graph, self.step)

    @contextmanager
    def _folders_locked(self, directory: RunDirectory) -> Iterator[None]:
        """Hold the locks of the run's folders; of several workers, the chief holds them."""
        with ExitStack() as stack:

            def lock() -> None:
                stack.enter_context(locked(directory.path))
                stack.enter_context(log_dir_locked(self.config))

            self._as_chief(lock)
            yield

    def _share_state(self) -> None:
        """Give all workers the values of the chief's variables."""
        if self.cluster is not None:
            self.cluster.share_state(self.saver, self.session)

    def _open_session(self, config: Any) -> Any:
        if self.cluster is None:
            return super()._open_session(config)
        return self.cluster.open_session(self.graph, config)
