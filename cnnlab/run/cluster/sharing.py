"""The run directory and the log of a run of several workers: the chief's, which all others follow.

Each method is called by all workers in the same order. What reads asks the chief; what writes does
so on the chief only.
"""

from __future__ import annotations

from typing import Any

from cnnlab.config.config import Config
from cnnlab.run.cluster.cluster import Cluster
from cnnlab.run.disk.checkpoint import Checkpoints
from cnnlab.run.disk.run_directory import RunDirectory
from cnnlab.run.log import RunLog


class SharedCheckpoints(Checkpoints):
    """Checkpoints that the chief reads, and whose values all workers get."""

    def __init__(self, checkpoints: Checkpoints, cluster: Cluster) -> None:
        """Share some checkpoints.

        Args:
            checkpoints: those of this worker; only the chief's are used.
            cluster: the workers.
        """
        vars(self).update(vars(checkpoints))
        self._cluster = cluster

    def restore(self, saver: Any, session: Any, step: int, **how: Any) -> None:
        """Restore a checkpoint on the chief, and give its values to all workers."""

        def read() -> None:
            super(SharedCheckpoints, self).restore(saver, session, step, **how)

        self._cluster.from_chief(read)
        self._cluster.share_state(saver, session)


class SharedDirectory(RunDirectory):
    """The run directory of several workers; see `RunDirectory`."""

    def __init__(self, config: Config, epoch_size: int, cluster: Cluster) -> None:
        """Look at the folder of the chief.

        Args:
            config: the run's options.
            epoch_size: as for `RunDirectory`.
            cluster: the workers.

        Raises:
            UsageError: the chief's folder cannot hold a run.
        """
        self._cluster = cluster
        self._leads = cluster.place.is_chief
        super().__init__(config, epoch_size)
        self.checkpoints = SharedCheckpoints(self.checkpoints, cluster)
        self.best = SharedCheckpoints(self.best, cluster)

    def finished_result(self, total_steps: int) -> dict[str, Any] | None:
        return self._cluster.from_chief(lambda: RunDirectory.finished_result(self, total_steps))

    def latest_step(self) -> int:
        return self._cluster.from_chief(lambda: RunDirectory.latest_step(self))

    def begin(self, first_step: int, total_steps: int, facts: str) -> None:
        self._cluster.from_chief(lambda: RunDirectory.begin(self, first_step, total_steps, facts))

    def tensors_to_hold(self, saver: Any, graph: Any) -> list[Any]:
        return super().tensors_to_hold(saver, graph) if self._leads else []

    def save(self, *arguments: Any) -> None:
        if self._leads:
            super().save(*arguments)

    def save_best(self, saver: Any, session: Any, step: int) -> None:
        if self._leads:
            super().save_best(saver, session, step)

    def rollback_step(self) -> int:
        return self._cluster.from_chief(lambda: RunDirectory.rollback_step(self))

    def go_back_to(self, step: int) -> None:
        if self._leads:
            super().go_back_to(step)

    def best_so_far(self, last_step: int) -> dict[str, Any] | None:
        return self._cluster.from_chief(lambda: RunDirectory.best_so_far(self, last_step))

    def evaluations_so_far(self, last_step: int) -> list[dict[str, Any]]:
        return self._cluster.from_chief(lambda: RunDirectory.evaluations_so_far(self, last_step))

    def has_evaluation(self, step: int) -> bool:
        return self._cluster.from_chief(lambda: RunDirectory.has_evaluation(self, step))

    def secs_so_far(self, last_step: int) -> float:
        return self._cluster.from_chief(lambda: RunDirectory.secs_so_far(self, last_step))

    def write_result(self, result: dict[str, Any]) -> None:
        if self._leads:
            super().write_result(result)


class NoLog(RunLog):
    """The log of a worker that is not the chief: it writes nothing."""

    def __init__(self) -> None:
        pass

    def write(self, split: str, step: int, **figures: float) -> None:
        pass

    def write_own(self, step: int, name: str, value: float) -> None:
        pass

    def write_summary(self, split: str, step: int, summary: bytes) -> None:
        pass

    def write_trace(self, step: int, metadata: Any) -> None:
        pass

    def flush(self) -> None:
        pass

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass
