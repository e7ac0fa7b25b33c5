"""The HParams dashboard, read by TensorBoard itself."""

from pathlib import Path
from typing import Any

import pytest

from cnnlab.base.tf1 import tf
from cnnlab.run.tensorboard import hparams
from cnnlab.run.tensorboard.events import EventWriter
from cnnlab.tune import dashboard


@pytest.mark.slow
def test_tensorboard_finds_the_trials(tmp_path: Path) -> None:
    domains = {"units": [16, 32], "optimizer": ["adam", "sgd"], "learning_rate": (1e-4, 0.1)}
    dashboard.write_experiment(tmp_path, domains)
    trials: Any = [
        ({"units": 16, "optimizer": "adam", "learning_rate": 1e-3}, 0.75, "complete"),
        ({"units": 32, "optimizer": "sgd", "learning_rate": 1e-2}, 0.5, "pruned"),
        ({"units": 32, "optimizer": "adam", "learning_rate": 1e-1}, 0.25, "failed"),
        ({"units": 16, "optimizer": "sgd", "learning_rate": 1e-4}, 0.125, None),
    ]
    for number, (values, accuracy, ending) in enumerate(trials):
        folder = tmp_path / f"trial-{number:04d}"
        session = hparams.Session(folder, values, [])
        writer = EventWriter(folder / "val")
        for step, figure in ((10, 0.0), (20, accuracy)):
            value = tf.Summary.Value(tag="accuracy", simple_value=figure)
            writer.add_summary(tf.Summary(value=[value]), step)
        writer.close()
        if ending in ("complete", "failed"):
            session.end(failed=ending == "failed")
        session.close()
    groups = session_groups(tmp_path)
    found = [
        (
            {name: value.string_value or value.number_value for name, value in g.hparams.items()},
            [m.value for m in g.metric_values if (m.name.group, m.name.tag) == ("val", "accuracy")],
            [session.status for session in g.sessions],
        )
        for g in groups
    ]
    unknown, success, failure = range(3)
    status = {"complete": success, "pruned": unknown, "failed": failure, None: unknown}
    assert found == [(values, [accuracy], [status[ending]]) for values, accuracy, ending in trials]


def session_groups(folder: Path) -> Any:
    """Return the rows of the dashboard's table, without a server."""
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(folder))
    context = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    statuses = [
        api_pb2.STATUS_UNKNOWN,
        api_pb2.STATUS_SUCCESS,
        api_pb2.STATUS_FAILURE,
        api_pb2.STATUS_RUNNING,
    ]
    assert statuses == [0, 1, 2, 3]
    request = api_pb2.ListSessionGroupsRequest(allowed_statuses=statuses, slice_size=100)
    hparams = context.hparams_from_data_provider(RequestContext(), "", limit=None)
    assert not hparams.hyperparameters  # the experiment says what varies
    metadata = context.hparams_metadata(RequestContext(), "")
    experiment = context.experiment_from_metadata(RequestContext(), "", True, metadata, hparams)
    assert [info.name for info in experiment.hparam_infos] == [
        "learning_rate",
        "optimizer",
        "units",
    ]
    handler = list_session_groups.Handler(RequestContext(), context, "", request)
    return handler.run().session_groups
