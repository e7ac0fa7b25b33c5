"""The columns of a search in TensorBoard's HParams dashboard.

LOG_DIR/                      the experiment: what varies, and the figures
LOG_DIR/trial-NNNN/           a trial: an ordinary run, which writes its own row; see
cnnlab.run.tensorboard.hparams
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnlab.run.tensorboard import hparams


def write_experiment(log_dir: Path, domains: Mapping[str, Any]) -> None:
    """Say what varies, so that the dashboard has its columns and filters.

    Args:
        log_dir: folder of all trials.
        domains: option to its list of choices, or to the two ends of its range.

    Raises:
        CnnlabError: the event file cannot be written.
    """
    with hparams.replacing_events(log_dir) as writer:  # which loads TensorFlow our way
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
