"""Several runs below one folder, as TensorBoard's own classes read them."""

from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, list_session_groups
from tensorboard.plugins.hparams.backend_context import Context

from tests import small_run

FIGURES = {("val", "accuracy"), ("val", "loss"), ("", "test/accuracy"), ("", "test/loss")}


def read(folder: Path) -> EventMultiplexer:
    multiplexer = EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    return multiplexer


def rows(folder: Path) -> dict[str, Any]:
    """Return the rows of the HParams dashboard: name to (status, rate, figures)."""
    multiplexer = read(folder)
    provider = MultiplexerDataProvider(multiplexer, str(folder))
    context = Context(TBContext(logdir=str(folder), data_provider=provider))
    request = api_pb2.ListSessionGroupsRequest(
        slice_size=100,
        allowed_statuses=[
            api_pb2.STATUS_UNKNOWN,
            api_pb2.STATUS_SUCCESS,
            api_pb2.STATUS_FAILURE,
            api_pb2.STATUS_RUNNING,
        ],
        aggregation_type=api_pb2.AGGREGATION_AVG,
        include_metrics=True,
    )
    answer = list_session_groups.Handler(RequestContext(), context, "", request).run()
    found = {}
    for group in answer.session_groups:
        (session,) = group.sessions
        assert group.name not in found
        found[group.name] = (
            session.status,
            group.hparams["learning_rate"].number_value,
            {(v.name.group, v.name.tag): v.value for v in group.metric_values},
        )
    return found


@pytest.mark.slow
def test_each_run_of_a_folder_is_there_once(tmp_path: Path) -> None:
    """Also two runs of the same options, a stopped run, and one that took two processes."""
    options = {"eval_steps": 3, "summary_steps": 2}
    results = {}
    for name, rate in (("a", 0.01), ("b", 0.02), ("again", 0.02)):
        options["log_dir"] = str(tmp_path / name / "logs")
        for steps in (3, 6) if name == "a" else (6,):
            run = small_run.make(
                tmp_path / name, small_run.linear, steps=steps, learning_rate=rate, **options
            )
            with run:
                results[name] = run.train()
    options |= {"log_dir": str(tmp_path / "stopped/logs"), "max_secs": 1e-6, "steps_per_run": 1}
    with small_run.make(tmp_path / "stopped", small_run.linear, **options) as run:
        run.train()

    runs = read(tmp_path).Runs()
    names = ("a", "again", "b", "stopped")
    assert sorted(runs) == [f"{n}/logs{part}" for n in names for part in ("", "/train", "/val")]
    for name in results:
        assert all("loss" in runs[f"{name}/logs/{part}"]["tensors"] for part in ("train", "val"))

    found = rows(tmp_path)
    assert sorted(found) == [f"{name}/logs" for name in names]
    for name, rate in (("a", 0.01), ("b", 0.02), ("again", 0.02)):
        status, learning_rate, figures = found[f"{name}/logs"]
        assert (status, learning_rate) == (api_pb2.STATUS_SUCCESS, rate)
        assert set(figures) == FIGURES
        assert figures["", "test/loss"] == pytest.approx(results[name]["loss"])
    assert found["stopped/logs"] == (api_pb2.STATUS_UNKNOWN, 0.01, {})
    # The folder of one run alone.
    assert list(rows(tmp_path / "a")) == ["logs"]
