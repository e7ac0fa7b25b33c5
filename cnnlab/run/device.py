"""Where the graph runs: a GPU where there is one, and how much of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.machine import cpu_features
from cnnlab.base.tf1 import onednn_is_on, tf
from cnnlab.config.config import Config


def choose_device(config: Config) -> str:
    """The device string for `tf.device`: '' leaves the choice to TensorFlow, which takes GPU 0.

    Raises:
        CnnlabError: a GPU was asked for and TensorFlow sees none, or not that one.
    """
    kind, _, index = config.device.partition(":")
    if kind == "cpu":
        return "/cpu:0"
    gpus = tf.config.list_physical_devices("GPU")
    if kind == "gpu" and int(index or 0) >= len(gpus):
        raise CnnlabError(
            f"--device={config.device} was asked for, but TensorFlow sees {len(gpus)} GPUs; "
            'install a driver and "pip install cnnlab[gpu]", or use --device=cpu'
        )
    return f"/gpu:{int(index or 0)}" if gpus else "/cpu:0"


def describe_device(config: Config, device: str) -> str:
    """One phrase on what computes, with a warning where a GPU lies idle or a precision is slow."""
    onednn = "oneDNN on" if onednn_is_on() else "oneDNN off"
    if "gpu" in device:
        gpu = tf.config.list_physical_devices("GPU")[int(device.rpartition(":")[2])]
        name = tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        return f"GPU {name}, {onednn}"
    text = f"CPU, {os.cpu_count()} cores, {onednn}"
    if any(Path("/dev").glob("nvidia[0-9]*")) and config.device != "cpu":
        text += (
            '; warning: a GPU is present but TensorFlow cannot use it: "pip install cnnlab[gpu]"'
        )
    if config.precision != "float32" and not _multiplies_quickly(config.precision):
        text += f"; warning: {config.precision} is slower than float32 here"
    return text


def _multiplies_quickly(precision: str) -> bool:
    """Whether TensorFlow has a CPU's own instructions for products of 16 bits."""
    has_bfloat16 = not {"avx512_bf16", "amx_bf16"}.isdisjoint(cpu_features())
    return precision == "bfloat16" and has_bfloat16 and onednn_is_on()


def set_intra_op_threads(config: Config) -> None:
    """Have operations shared by as many threads as configured; for the process, before its first
    graph, because TensorFlow makes these threads once.

    Raises:
        UsageError: the process has other threads already.
    """
    count = config.intra_op_threads
    if count is None:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(count)
    except RuntimeError as error:
        raise UsageError(
            f"--intra_op_threads={count} comes too late: TensorFlow has its threads already in "
            "this process; give it to the first run of a new one"
        ) from error


def session_config(config: Config) -> Any:
    """The ConfigProto of a run's session."""
    gpu_options = tf.GPUOptions(allow_growth=config.gpu_allow_growth)
    if config.gpu_memory_fraction is not None:
        gpu_options.per_process_gpu_memory_fraction = config.gpu_memory_fraction
    # Soft placement, because the input stream and int32 bookkeeping have no GPU kernels.
    session_config = tf.ConfigProto(allow_soft_placement=True, gpu_options=gpu_options)
    if config.inter_op_threads is not None:
        session_config.inter_op_parallelism_threads = config.inter_op_threads
        # Otherwise all sessions of the process share the threads that the first one asked for.
        session_config.use_per_session_threads = True
    return session_config
