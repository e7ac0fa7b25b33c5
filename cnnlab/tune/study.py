"""The study: all trials and their results, in a database of Optuna.

The values of a trial depend on its number. In a grid they depend on nothing else, so no two
machines try the same grid point. Otherwise they also depend on the seed and on the trials that are
finished by then. A study of N trials has the numbers 0 to N - 1.

An interrupted trial goes back into the queue with its number and its values.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
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

LOST_SECS = 600  # without a heartbeat for this time, another machine's trial counts as lost
_WAIT_SECS = 60.0  # only one process at a time can write to SQLite
_TABLES_SECS = 2.0  # time for another process to create the tables
_IDENTITY = "cnnlab"
_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


class Row(NamedTuple):
    """A trial of the study.

    Attributes:
        number: the number of the trial, from 0.
        state: complete, pruned, failed, running or waiting.
        point: the stored value of each dimension.
        value: the metric; of a pruned or running trial, that of its last evaluation; None before
            the first evaluation.
        facts: other results of its run, as far as known: test_accuracy, step, seconds, error.
    """

    number: int
    state: str
    point: Point
    value: float | None
    facts: dict[str, Any]


class Study:
    """An Optuna study. Only one process per study directory uses it, but many machines may."""

    def __init__(
        self,
        database: str | Path,
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
        """Open the study, or create it.

        Args:
            database: the path of an SQLite file, or the URL of a database, in SQLAlchemy's form.
            name: the name of the study in the database.
            identity: the options that may not change when the study is resumed: name to value.
            space: the options that vary.
            grid: the points by trial number; None: the sampler is not "grid".
            sampler: "grid", "random" or "tpe".
            pruner: "none", "halving" or "median".
            seed: the seed of the sampler.
            metric: "accuracy" (the highest is best) or "loss" (the lowest is best).
            owner: a name for this machine and study directory.
            is_private: whether no other machine uses the database.
            overwrite: whether to delete an earlier study of this name.

        Raises:
            UsageError: the study in the database has other options.
            CnnlabError: the database cannot be used. All methods raise it.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        self._space, self._grid, self._sampler, self._seed = space, grid, sampler, seed
        self._owner, self._is_private = owner, is_private
        self._running: dict[int, Trial] = {}
        with _naming_failures():
            self._storage = _open_database(database)
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
        """Take the next trial: an interrupted one, or else a new one.

        Args:
            total: the number of trials of the study.

        Returns:
            number and stored values; None if every trial has ended or is running.
        """
        with _naming_failures():
            self._requeue_lost()
            trials = self._study.get_trials(deepcopy=False)
            is_waiting = any(t.state == TrialState.WAITING and t.number < total for t in trials)
            if len(trials) >= total and not is_waiting:
                return None
            trial = self._study.ask()
            if trial.number >= total:  # another machine was faster; keep it for a larger total
                self._requeue(trial._trial_id)
                return None
            self._study.sampler = make_sampler(self._sampler, self._seed, trial.number, self._grid)
            point = {d.key: suggest(trial, d) for d in self._space.dimensions}
            self._running[trial.number] = trial
            trial.set_user_attr("owner", self._owner)
            self._send_heartbeat(trial)
            return trial.number, point

    def should_prune(self, number: int, evaluations: Sequence[tuple[int, float]]) -> bool:
        """Return whether a trial should end early.

        Args:
            number: the number of a trial that runs here.
            evaluations: for each evaluation so far, its number (from 1) and the metric.
        """
        with _naming_failures():
            trial = self._running[number]
            known = self._frozen(number).intermediate_values
            for resource, value in evaluations:
                if resource not in known:
                    trial.report(value, resource)
            return trial.should_prune()

    def finish(self, number: int, ending: str, value: float | None, **facts: Any) -> None:
        """Store how a trial ended.

        Args:
            number: the number of a trial that runs here.
            ending: "complete", "pruned" or "failed"; anything else puts it back into the queue.
            value: the metric of a complete trial; else None.
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
            # If it counted as lost, another machine may have finished it, with equal figures.
            self._study.tell(trial, value, state=states[ending], skip_if_finished=True)

    def send_heartbeats(self) -> None:
        """Show other machines that the trials that run here are not lost."""
        with _naming_failures():
            for trial in list(self._running.values()):
                self._send_heartbeat(trial)

    def rows(self) -> list[Row]:
        """Return every trial, by number."""
        with _naming_failures():
            trials = self._study.get_trials(deepcopy=False)
        return [_row(trial) for trial in trials if trial.params]

    def is_done(self, total: int) -> bool:
        """Return whether at least `total` trials have ended."""
        ended = ("complete", "pruned", "failed")
        return sum(row.state in ended for row in self.rows()) >= total

    def _check_identity(self, name: str, identity: Mapping[str, Any]) -> None:
        known = self._study.user_attrs.get(_IDENTITY)
        if known is None:
            if self._study.get_trials(deepcopy=False):
                raise UsageError(
                    f"--study={name} is a study of another program; choose another name"
                )
            self._study.set_user_attr(_IDENTITY, dict(identity))
            return
        differing = [key for key in identity if known.get(key) != identity[key]]
        if differing:
            changes = ", ".join(
                f"{key} ({known.get(key)} there, {identity[key]} here)" for key in differing
            )
            raise UsageError(
                f"the study {name} has other options: {changes}; choose another --save_dir or "
                "--study, or give the same options to resume it"
            )

    def _requeue_lost(self) -> None:
        """Put the trials whose process has ended back into the queue.

        The study directory is locked by this process. So its trials that do not run here do not run
        at all.
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

    def _send_heartbeat(self, trial: Trial) -> None:
        trial.set_user_attr("seen", time.time())

    def _frozen(self, number: int) -> FrozenTrial:
        trials = self._study.get_trials(deepcopy=False)
        return next(trial for trial in trials if trial.number == number)


def _open_database(database: str | Path) -> optuna.storages.RDBStorage:
    """Open the database, and create Optuna's tables if there are none."""
    options: dict[str, Any] = {}
    if isinstance(database, Path):
        # Opened by its path: a URL cannot have every sign that a name can.
        path, database = database, "sqlite:///study.db"
        options["creator"] = lambda: sqlite3.connect(path, _WAIT_SECS, check_same_thread=False)
    elif database.startswith("sqlite:"):
        options["connect_args"] = {"timeout": _WAIT_SECS}
    try:
        return optuna.storages.RDBStorage(database, engine_kwargs=options)
    except (IntegrityError, OperationalError, ProgrammingError):
        time.sleep(_TABLES_SECS)  # another machine is creating the tables at this moment
        return optuna.storages.RDBStorage(database, engine_kwargs=options)


def _row(trial: FrozenTrial) -> Row:
    value = trial.value
    if trial.state == TrialState.RUNNING and trial.intermediate_values:
        value = trial.intermediate_values[max(trial.intermediate_values)]
    facts = {name: fact for name, fact in trial.user_attrs.items() if name not in ("owner", "seen")}
    return Row(trial.number, _STATES[trial.state], dict(trial.params), value, facts)


@contextmanager
def _naming_failures() -> Iterator[None]:
    """Turn errors of the database into one line, without the URL, which may hold a password."""
    try:
        yield
    except ImportError as error:
        raise CnnlabError(
            f"--storage needs a driver that is not installed ({error}); for PostgreSQL: pip "
            "install 'psycopg[binary]', and a URL postgresql+psycopg://..."
        ) from error
    except (SQLAlchemyError, optuna.exceptions.OptunaError) as error:
        cause = getattr(error, "orig", None) or error.__cause__ or error
        reason = " ".join(str(cause).split())[:300]
        raise CnnlabError(f"the study's database cannot be used: {reason}") from error
