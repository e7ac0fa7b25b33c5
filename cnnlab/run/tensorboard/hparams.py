"""A run's options and final figures for TensorBoard's HParams dashboard.

The dashboard shows sessions and an experiment. A session is a row: values of hyperparameters,
figures, and how it ended. The experiment says which columns there are. A column of figures names a
tag and a *group*, the folder below the session's folder that has the tag. So a training run's
session is in LOG_DIR itself, and `Metric("accuracy", "val")` is the curve `accuracy` of
LOG_DIR/val.

A search over options gives each trial its own log_dir in one folder. Before the trials,
`cnnlab.tune.dashboard` writes an experiment into that folder. The trials are ordinary runs and
write their sessions themselves. They write no experiment if the folder has one, because TensorBoard
would use any one of several.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

from cnnlab.base.errors import CnnlabError
from cnnlab.base.files import remove_if_possible
from cnnlab.base.tf1 import tf
from cnnlab.config.config import Config
from cnnlab.config.options import as_dict, fields_of
from cnnlab.config.values import admitted_types
from cnnlab.run.tensorboard.events import EventWriter

SUFFIX = ".hparams"  # the end of the names of these event files, and of no others
ALWAYS_SHOWN = ("model", "batch_size", "optimizer", "learning_rate")
_LEFT_OUT = ("output", "recipe", "run", "stopping", "device", "tensorboard")  # groups of options

Value = bool | int | float | str


class Column(NamedTuple):
    """A column of values.

    name: the hyperparameter's name.
    kind: bool, float or str.
    is_shown: whether it comes first. TensorBoard shows the first five, the others on request.
    """

    name: str
    kind: type
    is_shown: bool = True


class Metric(NamedTuple):
    """A column of figures.

    tag: the tag of the curve whose last value is shown.
    group: the folder, below the session's, that has the curve; "" for the session's folder.
    title: the column's heading.
    """

    tag: str
    group: str
    title: str


METRICS = (
    Metric("accuracy", "val", "val accuracy"),
    Metric("loss", "val", "val loss"),
    Metric("test/accuracy", "", "test accuracy"),
    Metric("test/loss", "", "test loss"),
)


class Session:
    """One row of the dashboard: a run, which may take several processes.

    All methods raise CnnlabError if the file cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        values: Mapping[str, Value],
        columns: Sequence[Column],
        metrics: Sequence[Metric] = METRICS,
    ) -> None:
        """Write the start of the session; it replaces the session of an earlier process.

        Args:
            folder: the run's log_dir.
            values: name to value of the hyperparameters.
            columns: the columns of values; not used if the folder above has an experiment.
            metrics: the columns of figures; not used if the folder above has an experiment.
        """
        is_trial = bool(_files_in(folder.parent))
        with replacing_events(folder) as self._writer:
            if not is_trial:
                self._writer.add_summary(_experiment(columns, metrics), 0)
            self._writer.add_summary(_plugin().session_start_pb(dict(values)), 0)
            self._writer.flush()

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Add a point to curves in the session's folder; figures: tag to value."""
        values = [tf.Summary.Value(tag=tag, simple_value=value) for tag, value in figures.items()]
        self._writer.add_summary(tf.Summary(value=values), step)

    def end(self, *, failed: bool = False) -> None:
        """Write how the session ended."""
        status = _api().STATUS_FAILURE if failed else _api().STATUS_SUCCESS
        self._writer.add_summary(_plugin().session_end_pb(status), 0)

    def close(self) -> None:
        """Flush and close the file."""
        self._writer.close()


@contextmanager
def run_session(config: Config) -> Iterator[Session]:
    """Write the session of a training run while the block runs.

    A session whose run fails is marked as failed. The session of a stopped run has no end yet.
    """
    session = Session(config.resolved_log_dir, values_of(config), columns_of(config))
    try:
        yield session
    except CnnlabError:
        with contextlib.suppress(CnnlabError):  # if the disk is full, the first error says so
            session.end(failed=True)
            session.close()
        raise
    session.close()


def finish(session: Session, result: Mapping[str, Any]) -> None:
    """Write the result of a training run, if it is finished; result: see `Train.train`."""
    if result["finished"]:
        figures = {f"test/{name}": result[name] for name in ("accuracy", "loss") if name in result}
        session.write(result["step"], figures)
        session.end()


def columns_of(config: Config) -> list[Column]:
    """Return a column for each option that changes the results.

    Options that differ from their default, and those of ALWAYS_SHOWN, come first.
    """
    given = as_dict(config)
    columns = []
    for name, field in _compared_fields().items():
        types = admitted_types(field.annotation) - {NoneType}
        kind: type = str
        if types <= {int, float}:
            kind = float
        elif types == {bool}:
            kind = bool
        default = field.get_default(call_default_factory=True)
        columns.append(Column(name, kind, given[name] != default or name in ALWAYS_SHOWN))
    for name, value in config.model_options.items():
        columns.append(Column(name, _kind_of(_plain(value)), False))
    return columns


def values_of(config: Config) -> dict[str, Value]:
    """Return the options that change the results, name to value.

    The model's options are among them. Options that are None are left out. Lists and mappings
    become text.
    """
    given = as_dict(config)
    values = {**config.model_options, **{name: given[name] for name in _compared_fields()}}
    return {name: _plain(value) for name, value in values.items() if value is not None}


def _plain(value: Any) -> Value:
    if isinstance(value, bool | int | float | str):
        return value
    return json.dumps(value).replace('"', "")


def _kind_of(value: Value) -> type:
    return type(value) if isinstance(value, bool | str) else float


def _compared_fields() -> dict[str, Any]:
    return {
        name: field
        for name, field in fields_of(Config).items()
        if field.json_schema_extra["shapes_result"]
        and field.json_schema_extra["group"] not in _LEFT_OUT
        and name != "model_options"
    }


@contextmanager
def replacing_events(folder: Path) -> Iterator[EventWriter]:
    """Open a new file of these summaries, and delete the earlier ones when the block succeeds.

    They are deleted because TensorBoard uses the first start of a session that it finds.
    """
    earlier = _files_in(folder)
    yield EventWriter(folder, SUFFIX)
    for path in earlier:
        remove_if_possible(path)


def _files_in(folder: Path) -> list[Path]:
    return list(folder.glob(f"events.out.tfevents.*{SUFFIX}"))


def _experiment(columns: Sequence[Column], metrics: Sequence[Metric]) -> Any:
    """Return a summary that names the columns."""
    api = _api()
    kinds = {
        bool: api.DATA_TYPE_BOOL,
        float: api.DATA_TYPE_FLOAT64,
        str: api.DATA_TYPE_STRING,
    }
    return _plugin().experiment_pb(
        [
            # TensorBoard shows columns that differ between runs first.
            api.HParamInfo(name=column.name, type=kinds[column.kind], differs=column.is_shown)
            for column in columns
        ],
        [
            api.MetricInfo(name=api.MetricName(group=group, tag=tag), display_name=title)
            for tag, group, title in metrics
        ],
    )


def _plugin() -> Any:
    from tensorboard.plugins.hparams import summary

    return summary


def _api() -> Any:
    from tensorboard.plugins.hparams import api_pb2

    return api_pb2
