"""Rollback: return to the last regular checkpoint if the loss or a weight is not finite."""

from __future__ import annotations

from typing import Any, Protocol

from cnnlab.base.errors import NonFiniteError
from cnnlab.run.disk.run_directory import RunDirectory
from cnnlab.run.hook import Run


class RebuildableRun(Run, Protocol):
    """A run whose graph can be built again."""

    def build_graph(self, first_step: int = 0) -> Any:
        """Build the graph, with its input stream at `first_step`."""

    def close(self) -> None:
        """Free the session and the graph."""


def roll_back(run: RebuildableRun, directory: RunDirectory, error: NonFiniteError) -> None:
    """Return to the last regular checkpoint, and lower the learning rate.

    The run continues as if it had been killed and resumed there. Only the number of rollbacks,
    which lowers the rate, is kept. It is a variable, so checkpoints contain it. If a run is killed
    after a rollback and before its next checkpoint, it computes the same values when it resumes,
    and rolls back again.

    Args:
        run: the run, whose loop has failed.
        directory: its run directory.
        error: says what is not finite.

    Raises:
        NonFiniteError: the option on_nan is not "rollback", or max_rollbacks were made.
    """
    config = run.config
    if config.on_nan != "rollback":
        last_good = directory.checkpoints.latest_intact()
        kept = f"step {last_good}" if last_good is not None else "none yet"
        raise NonFiniteError(
            f"{error}; last good checkpoint in {directory.path}: {kept}; try a lower "
            "--learning_rate or --on_nan=rollback"
        ) from error
    rollbacks = int(run.session.run(run.train_graph.rollbacks)) + 1
    if rollbacks > config.max_rollbacks:
        raise NonFiniteError(
            f"{error}, after {config.max_rollbacks} rollbacks; try a lower --learning_rate"
        ) from error
    step = directory.rollback_step()
    run.say(
        f"{error}; back to step {step}, at {config.rollback_factor**rollbacks:g} times the "
        f"learning rate (rollback {rollbacks} of at most {config.max_rollbacks})"
    )
    directory.go_back_to(step)
    run.close()
    run.build_graph(step)
    if step:
        directory.checkpoints.restore(run.saver, run.session, step, exactly=True)
    initializer = run.train_graph.rollbacks.initializer
    run.session.run(initializer, {initializer.inputs[1]: rollbacks})
