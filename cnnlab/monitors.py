"""What goes by the validation figures: the schedule plateau and early stopping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnlab.train import Train


def goodness(figures: Mapping[str, Any], monitor: str) -> float:
    """The monitored figure, turned so that larger is better."""
    return -float(figures["loss"]) if monitor == "loss" else float(figures["accuracy"])


def is_better(figures: Mapping[str, Any], best: Mapping[str, Any], monitor: str) -> bool:
    """Whether an evaluation is better than the best so far; an equal one is not."""
    return goodness(figures, monitor) > goodness(best, monitor)


class Monitor:
    """Something that is told of each evaluation during training."""

    def begin(self, train: Train) -> None:
        """Called once, before the first step of this process."""

    def count(self, train: Train, figures: Mapping[str, Any]) -> None:
        """Called after each evaluation at a multiple of eval_steps, before its checkpoint."""


class PlateauMonitor(Monitor):
    """Hands the figure to the schedule plateau, whose state is in the graph."""

    def count(self, train: Train, figures: Mapping[str, Any]) -> None:
        plateau = train.train_graph.plateau
        assert plateau is not None
        figure = goodness(figures, train.config.monitor)
        train.session.run(plateau.update_op, {plateau.figure_ph: figure})


class EarlyStopping(Monitor):
    """Ends the run after so many evaluations in a row without a better one.

    Its state follows from the evaluations written down up to the step that the run goes on from.

    Attributes:
        has_stopped: whether the run is at its end.
    """

    def __init__(self, patience: int, earlier: Sequence[Mapping[str, Any]]) -> None:
        """Args:
        patience: evaluations.
        earlier: figures of the evaluations so far, in order.
        """
        self._patience = patience
        self._earlier = earlier
        self._best: Mapping[str, Any] | None = None
        self._waited = 0
        self.has_stopped = False

    def begin(self, train: Train) -> None:
        for figures in self._earlier:
            self._take(figures, train.config.monitor)
        if self.has_stopped:  # killed after the decision and before its result was written
            self._stop(train)

    def count(self, train: Train, figures: Mapping[str, Any]) -> None:
        self._take(figures, train.config.monitor)
        if self.has_stopped:
            self._stop(train)

    def _take(self, figures: Mapping[str, Any], monitor: str) -> None:
        if self._best is None or is_better(figures, self._best, monitor):
            self._best, self._waited = figures, 0
        else:
            self._waited += 1
        self.has_stopped = self._waited >= self._patience

    def _stop(self, train: Train) -> None:
        train.stop(f"validation {train.config.monitor} not better {self._waited} times in a row")
