"""The columns of a search in TensorBoard's HParams dashboard.

LOG_DIR/                      the experiment: the options that vary, and the metrics
LOG_DIR/trial-NNNN/           a trial: an ordinary run, which writes a row of the table itself; see
                              cnnlab.run.tensorboard.hparams
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnlab.run.tensorboard import hparams


def write_experiment(log_dir: Path, domains: Mapping[str, Any]) -> None:
    """Write the event file of the experiment, which gives the dashboard its columns and filters.

    Args:
        log_dir: folder of the event files of all trials.
        domains: option to its list of choices, or to the two ends of its range.

    Raises:
        CnnlabError: the event file cannot be written.
    """
    with hparams.replacing_events(log_dir) as writer:
        # Here, because the import needs a TensorFlow that is already loaded and set up.
        from tensorboard.plugins.hparams import api

        columns = [api.HParam(name, _domain(api, domain)) for name, domain in domains.items()]
        metrics = [
            api.Metric(metric.tag, group=metric.group, display_name=metric.title)
            for metric in hparams.METRICS
        ]
        summary = api.hparams_config_pb(hparams=columns, metrics=metrics)
        writer.add_summary(summary.SerializeToString(), 0)
        writer.close()


def _domain(api: Any, domain: Any) -> Any:
    if isinstance(domain, list):
        return api.Discrete(domain)
    low, high = domain
    interval = api.IntInterval if isinstance(low, int) else api.RealInterval
    return interval(low, high)
