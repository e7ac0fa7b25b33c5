"""The trace of a session run: as a file for Chrome, and as times for TensorBoard's graph."""

from __future__ import annotations

from typing import Any

from cnnlab.base.tf1 import tf, timeline
from cnnlab.run.tensorboard.drawn_graph import DrawnGraph


def chrome_trace(metadata: Any) -> str:
    """Return the trace as JSON, for chrome://tracing or ui.perfetto.dev; times in microseconds.

    Args:
        metadata: the `tf.RunMetadata` of a run with FULL_TRACE.
    """
    return str(timeline.Timeline(metadata.step_stats).generate_chrome_trace_format())


def drawn_metadata(metadata: Any, drawn: DrawnGraph) -> Any:
    """Return a copy of the metadata that has the drawn nodes only, under their drawn names."""
    kept = tf.RunMetadata()
    for device in metadata.step_stats.dev_stats:
        copy = kept.step_stats.dev_stats.add(device=device.device)
        for stats in device.node_stats:
            name = drawn.drawn_name(stats.node_name)
            if name is not None:
                copy.node_stats.add().CopyFrom(stats)
                copy.node_stats[-1].node_name = name
    return kept
