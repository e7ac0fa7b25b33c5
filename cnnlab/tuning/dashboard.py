"""What TensorBoard's HParams dashboard reads: the experiment once, and a session for each trial.

LOG_DIR/                      the experiment: what varies, and the metrics
LOG_DIR/trial-NNNN/           the session: this trial's values, and how it ended
LOG_DIR/trial-NNNN/val/       its metrics, as every run writes them
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from cnnlab.events import EventWriter

METRICS = ("accuracy", "loss")  # tags of the event files under val/

Ending = Literal["complete", "pruned", "failed"]


def write_experiment(log_dir: Path, domains: Mapping[str, Any]) -> None:
    """Say what varies, so that the dashboard has its columns and filters.

    Args:
        log_dir: folder of all trials.
        domains: option to its list of choices, or to the two ends of its range.

    Raises:
        CnnlabError: as for all functions here, the event file cannot be written.
    """
    with contextlib.closing(EventWriter(log_dir)) as writer:  # which loads TensorFlow our way
        from tensorboard.plugins.hparams import api

        hparams = [api.HParam(name, _domain(api, domain)) for name, domain in domains.items()]
        metrics = [
            api.Metric(metric, group="val", display_name=f"validation {metric}")
            for metric in METRICS
        ]
        summary = api.hparams_config_pb(hparams=hparams, metrics=metrics)
        writer.add_summary(summary.SerializeToString(), 0)


def write_session_start(log_dir: Path, values: Mapping[str, Any]) -> None:
    """Say which values a trial has.

    Args:
        log_dir: the trial's folder.
        values: option to number, text or switch.
    """
    with contextlib.closing(EventWriter(log_dir)) as writer:
        from tensorboard.plugins.hparams import api

        summary = api.hparams_pb(dict(values), trial_id=log_dir.name)
        writer.add_summary(summary.SerializeToString(), 0)


def write_session_end(log_dir: Path, ending: Ending) -> None:
    """Say how a trial ended: in the dashboard Success, Failure, or Unknown if it was pruned, as of
    one that has not ended."""
    with contextlib.closing(EventWriter(log_dir)) as writer:
        from tensorboard.plugins.hparams import api_pb2, summary

        status = {
            "complete": api_pb2.STATUS_SUCCESS,
            "failed": api_pb2.STATUS_FAILURE,
            "pruned": api_pb2.STATUS_UNKNOWN,
        }[ending]
        writer.add_summary(summary.session_end_pb(status).SerializeToString(), 0)


def _domain(api: Any, domain: Any) -> Any:
    if isinstance(domain, list):
        return api.Discrete(domain)
    low, high = domain
    interval = api.IntInterval if isinstance(low, int) else api.RealInterval
    return interval(low, high)
