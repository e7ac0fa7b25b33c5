"""The HParams dashboard's files, as TensorBoard reads them."""

from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata

from cnnlab.base.errors import CnnlabError
from cnnlab.config.resolve import resolve
from cnnlab.run.tensorboard import hparams
from cnnlab.tune.dashboard import write_experiment
from tests import small_run


def contents(folder: Path) -> dict[str, bytes]:
    """Return the plugin data in a folder's event files, by tag."""
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return dict(accumulator.PluginTagToContent("hparams"))


def session_of(folder: Path) -> dict[str, Any]:
    """Return the session's hyperparameters, name to value."""
    start = metadata.parse_session_start_info_plugin_data(
        contents(folder)[metadata.SESSION_START_INFO_TAG]
    )
    kinds = {name: value.WhichOneof("kind") for name, value in start.hparams.items()}
    return {name: getattr(start.hparams[name], kind) for name, kind in kinds.items()}


def status_of(folder: Path) -> int | None:
    content = contents(folder).get(metadata.SESSION_END_INFO_TAG)
    return None if content is None else metadata.parse_session_end_info_plugin_data(content).status


def test_values_and_columns_of_a_run() -> None:
    config = resolve({"learning_rate": 0.01, "augment": ["flip"], "steps": 7, "optimizer": "sgd"})
    values = hparams.values_of(config)
    assert values["learning_rate"] == 0.01
    assert values["augment"] == "[flip]"
    assert values["staircase"] is True
    assert "clip_norm" not in values  # it is None
    columns = {column.name: column for column in hparams.columns_of(config)}
    assert set(values) <= set(columns)
    for name in ("save_dir", "eval_steps", "device", "json", "tensorboard"):
        assert name not in columns
    kinds = {name: columns[name].kind for name in ("clip_norm", "batch_size", "staircase", "loss")}
    assert kinds == {"clip_norm": float, "batch_size": float, "staircase": bool, "loss": str}
    shown = {column.name for column in columns.values() if column.is_shown}
    assert shown == {"model", "batch_size", "optimizer", "learning_rate", "augment"}
    for name, value in values.items():  # the value has the kind of its column
        kind = columns[name].kind
        assert isinstance(value, kind) or (kind is float and type(value) is int), name


def test_a_session_and_its_end(tmp_path: Path) -> None:
    values = {"learning_rate": 0.5, "units": 3, "bias": False, "name": "x"}
    columns = [
        hparams.Column("learning_rate", float),
        hparams.Column("units", float, is_shown=False),
        hparams.Column("bias", bool),
        hparams.Column("name", str),
    ]
    session = hparams.Session(tmp_path, values, columns, [hparams.Metric("loss", "val", "Loss")])
    assert session_of(tmp_path) == values
    assert status_of(tmp_path) is None
    session.write(4, {"test/loss": 0.25})
    session.end()
    session.close()
    assert status_of(tmp_path) == api_pb2.STATUS_SUCCESS
    found = metadata.parse_experiment_plugin_data(contents(tmp_path)[metadata.EXPERIMENT_TAG])
    assert [(info.name, info.type, info.differs) for info in found.hparam_infos] == [
        ("learning_rate", api_pb2.DATA_TYPE_FLOAT64, True),
        ("units", api_pb2.DATA_TYPE_FLOAT64, False),
        ("bias", api_pb2.DATA_TYPE_BOOL, True),
        ("name", api_pb2.DATA_TYPE_STRING, True),
    ]
    assert [(i.name.group, i.name.tag, i.display_name) for i in found.metric_infos] == [
        ("val", "loss", "Loss")
    ]


def test_a_new_session_replaces_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    other = tmp_path / "events.out.tfevents.1.host"
    other.write_bytes(b"")
    for value in (1.0, 2.0):
        session = hparams.Session(tmp_path, {"x": value}, [hparams.Column("x", float)])
        session.end(failed=True)
        session.close()
    assert len(list(tmp_path.iterdir())) == 2
    assert other.exists()
    assert session_of(tmp_path) == {"x": 2.0}
    assert status_of(tmp_path) == api_pb2.STATUS_FAILURE


def test_an_experiment_alone(tmp_path: Path) -> None:
    for _ in range(2):
        write_experiment(tmp_path / "search", {"x": (0.0, 1.0)})
    assert list(contents(tmp_path / "search")) == [metadata.EXPERIMENT_TAG]
    assert len(list((tmp_path / "search").iterdir())) == 1


def test_a_trial_leaves_the_columns_to_the_experiment(tmp_path: Path) -> None:
    write_experiment(tmp_path, {"x": (0.0, 1.0)})
    session = hparams.Session(tmp_path / "3", {"x": 1.0}, [hparams.Column("y", float)])
    session.close()
    assert list(contents(tmp_path / "3")) == [metadata.SESSION_START_INFO_TAG]


def test_a_run_that_fails_is_marked_as_failed(tmp_path: Path) -> None:
    config = resolve({"log_dir": str(tmp_path)})
    with pytest.raises(CnnlabError, match="as it happens"), hparams.run_session(config):
        raise CnnlabError("as it happens")
    assert status_of(tmp_path) == api_pb2.STATUS_FAILURE


@pytest.mark.slow
def test_a_stopped_run_has_no_end_until_it_is_resumed(tmp_path: Path) -> None:
    logs = tmp_path / "save-logs"
    with small_run.make(
        tmp_path / "save", small_run.linear, max_secs=1e-6, steps_per_run=3
    ) as train:
        train.train()
    assert status_of(logs) is None
    with small_run.make(tmp_path / "save", small_run.linear, steps=6) as train:
        result = train.train()
    assert status_of(logs) == api_pb2.STATUS_SUCCESS
    assert session_of(logs)["batch_size"] == 6
    accumulator = EventAccumulator(str(logs))
    accumulator.Reload()
    for name in ("accuracy", "loss"):
        (point,) = accumulator.Scalars(f"test/{name}")
        assert (point.step, point.value) == (6, pytest.approx(result[name]))
    assert sum(path.stat().st_size for path in logs.glob("*.hparams")) < 10_000
