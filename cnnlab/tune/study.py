"""The study: what was tried and what came of it, in a database (Optuna's).

A trial is its number: what is tried under a number follows from the seed, the number and the trials
that are finished by then, or for a grid from the number alone. So no two machines try the same grid
point, and a study of N trials has the numbers 0 to N - 1.

A trial that was cut short goes back into the queue under its number, with its values.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import (
    IntegrityError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.tune.samplers import make_pruner, make_sampler, suggest
from cnnlab.tune.space import Point, Space

LOST_SECS = 600  # after so long without a sign of life, another machine's trial is taken for dead
_TABLES_SECS = 2.0  # until another process has made the tables
_IDENTITY = "cnnlab"
_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


class Row(NamedTuple):
    """A trial as the study has it.

    value: the metric, of a pruned trial at its last evaluation; None before the first.
    facts: what its run said besides: test_accuracy, step, seconds, error, folder.
    """

    number: int
    state: str
    point: Point
    value: float | None
    facts: dict[str, Any]


class Study:
    """An Optuna study, for one process at a time; others may use the same one elsewhere."""

    def __init__(
        self,
        url: str,
        name: str,
        *,
        identity: Mapping[str, Any],
        space: Space,
        grid: Sequence[Point] | None,
        sampler: str,
        pruner: str,
        seed: int,
        metric: str,
        owner: str,
        is_private: bool,
        overwrite: bool,
    ) -> None:
        """Open the study, or begin it.

        Args:
            url: a database, as SQLAlchemy has it.
            name: the study's name there.
            identity: what may not change while the study goes on, by option.
            space: what varies.
            grid: the points by trial number; None unless the sampler is "grid".
            sampler: "grid", "random" or "tpe".
            pruner: "none", "halving" or "median".
            seed: of the sampler.
            metric: "accuracy" (best is highest) or "loss" (lowest).
            owner: this machine and study directory.
            is_private: whether nobody else uses the database.
            overwrite: delete the study that is there.

        Raises:
            UsageError: the study there is another one.
            CnnlabError: as for all methods here, the database cannot be used.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        self._space, self._grid, self._sampler, self._seed = space, grid, sampler, seed
        self._owner, self._is_private = owner, is_private
        self._running: dict[int, Trial] = {}
        with _naming_failures():
            self._storage = _open_database(url)
            if overwrite and name in optuna.get_all_study_names(self._storage):
                optuna.delete_study(study_name=name, storage=self._storage)
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=name,
                direction="maximize" if metric == "accuracy" else "minimize",
                sampler=make_sampler(sampler, seed, 0, grid),
                pruner=make_pruner(pruner),
                load_if_exists=True,
            )
            self._check_identity(name, json.loads(json.dumps(identity)))

    def next_trial(self, total: int) -> tuple[int, Point] | None:
        """Take the next trial: one that was cut short, else a new one.

        Args:
            total: trials of the study in all.

        Returns:
            number and stored values; None when every trial is done or in work.
        """
        with _naming_failures():
            self._requeue_lost()
            trials = self._study.get_trials(deepcopy=False)
            is_waiting = any(t.state == TrialState.WAITING and t.number < total for t in trials)
            if len(trials) >= total and not is_waiting:
                return None
            trial = self._study.ask()
            if trial.number >= total:  # another machine was faster; for when more are asked for
                self._requeue(trial._trial_id)
                return None
            self._study.sampler = make_sampler(self._sampler, self._seed, trial.number, self._grid)
            point = {d.key: suggest(trial, d) for d in self._space.dimensions}
            self._running[trial.number] = trial
            trial.set_user_attr("owner", self._owner)
            self._give_sign(trial)
            return trial.number, point

    def should_prune(self, number: int, evaluations: Sequence[tuple[int, float]]) -> bool:
        """Whether a trial is to end early.

        Args:
            number: a trial in work here.
            evaluations: all so far: which one, from 1 on, and the metric.
        """
        with _naming_failures():
            trial = self._running[number]
            known = self._frozen(number).intermediate_values
            for resource, value in evaluations:
                if resource not in known:
                    trial.report(value, resource)
            return trial.should_prune()

    def finish(self, number: int, ending: str, value: float | None, **facts: Any) -> None:
        """Write down how a trial ended.

        Args:
            number: a trial in work here.
            ending: "complete", "pruned" or "failed"; anything else puts it back into the queue.
            value: of a complete trial, the metric.
            **facts: see `Row`.
        """
        trial = self._running.pop(number)
        states = {state_name: state for state, state_name in _STATES.items()}
        with _naming_failures():
            if ending not in ("complete", "pruned", "failed"):
                self._requeue(trial._trial_id)
                return
            for name, fact in facts.items():
                trial.set_user_attr(name, fact)
            # Where it was taken for dead, another machine may have finished it, with equal figures.
            self._study.tell(trial, value, state=states[ending], skip_if_finished=True)

    def give_signs(self) -> None:
        """Let other machines know that the trials in work here are not lost."""
        with _naming_failures():
            for trial in list(self._running.values()):
                self._give_sign(trial)

    def rows(self) -> list[Row]:
        """Every trial, by number."""
        with _naming_failures():
            trials = self._study.get_trials(deepcopy=False)
        return [_row(trial) for trial in trials if trial.params]

    def is_done(self, total: int) -> bool:
        """Whether so many trials have ended."""
        ended = ("complete", "pruned", "failed")
        return sum(row.state in ended for row in self.rows()) >= total

    def _check_identity(self, name: str, identity: Mapping[str, Any]) -> None:
        known = self._study.user_attrs.get(_IDENTITY)
        if known is None:
            if self._study.get_trials(deepcopy=False):
                raise UsageError(f"--study={name} is a study of another program; choose another")
            self._study.set_user_attr(_IDENTITY, dict(identity))
            return
        differing = [key for key in identity if known.get(key) != identity[key]]
        if differing:
            changes = ", ".join(
                f"{key} ({known.get(key)} there, {identity[key]} here)" for key in differing
            )
            raise UsageError(
                f"the study {name} is another one: {changes}; choose another --save_dir or "
                "--study, give the same options to go on with it, or --overwrite to delete it"
            )

    def _requeue_lost(self) -> None:
        """Put back the trials whose process is gone.

        The study directory is locked: a trial of its own that is not in work here has no process.
        """
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.number in self._running:
                continue
            is_ours = self._is_private or trial.user_attrs.get("owner") == self._owner
            started = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
            silent_secs = time.time() - float(trial.user_attrs.get("seen", started))
            if is_ours or silent_secs > LOST_SECS:
                self._requeue(trial._trial_id)

    def _requeue(self, trial_id: int) -> None:
        self._storage.set_trial_state_values(trial_id, TrialState.WAITING)

    def _give_sign(self, trial: Trial) -> None:
        trial.set_user_attr("seen", time.time())

    def _frozen(self, number: int) -> FrozenTrial:
        trials = self._study.get_trials(deepcopy=False)
        return next(trial for trial in trials if trial.number == number)


def _open_database(url: str) -> optuna.storages.RDBStorage:
    """Open the database, and make Optuna's tables where there are none."""
    # SQLite lets one write at a time; the others wait for so long.
    wait = {"connect_args": {"timeout": 60}} if url.startswith("sqlite:") else {}
    try:
        return optuna.storages.RDBStorage(url, engine_kwargs=wait)
    except (IntegrityError, OperationalError, ProgrammingError):
        time.sleep(_TABLES_SECS)  # another machine was making them at the same moment
        return optuna.storages.RDBStorage(url, engine_kwargs=wait)


def _row(trial: FrozenTrial) -> Row:
    value = trial.value
    if trial.state == TrialState.RUNNING and trial.intermediate_values:
        value = trial.intermediate_values[max(trial.intermediate_values)]
    facts = {name: fact for name, fact in trial.user_attrs.items() if name not in ("owner", "seen")}
    return Row(trial.number, _STATES[trial.state], dict(trial.params), value, facts)


@contextmanager
def _naming_failures() -> Iterator[None]:
    """Turn what the database says into one line, without the URL, which may hold a password."""
    try:
        yield
    except ImportError as error:
        raise CnnlabError(
            f"--storage wants a driver that is not installed ({error}); for PostgreSQL: pip "
            "install psycopg[binary], and a URL postgresql+psycopg://..."
        ) from error
    except (SQLAlchemyError, optuna.exceptions.OptunaError) as error:
        cause = getattr(error, "orig", None) or error.__cause__ or error
        reason = " ".join(str(cause).split())[:300]
        raise CnnlabError(f"the study's database cannot be used: {reason}") from error
