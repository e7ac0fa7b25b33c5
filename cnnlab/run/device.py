"""The device and threads of a run: a GPU if there is one, else the CPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cnnlab.base.errors import CnnlabError, UsageError
from cnnlab.base.machine import cpu_features
from cnnlab.base.tf1 import onednn_is_on, tf
from cnnlab.config.config import Config


def choose_device(config: Config) -> str:
    """Return the string for `tf.device`: the configured device, or by default GPU 0 if it exists.

    Raises:
        CnnlabError: a GPU was asked for that TensorFlow does not see.
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
    """Return one phrase that names the hardware.

    It contains a warning if a GPU cannot be used, or if the precision is slow on this CPU.
    """
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
    """Return whether TensorFlow multiplies this 16-bit type with instructions of the CPU."""
    has_bfloat16 = not {"avx512_bf16", "amx_bf16"}.isdisjoint(cpu_features())
    return precision == "bfloat16" and has_bfloat16 and onednn_is_on()


def set_intra_op_threads(config: Config) -> None:
    """Set the number of threads that share one operation, if it is configured.

    Call this before the first graph of the process: TensorFlow starts these threads only once.

    Raises:
        UsageError: TensorFlow has already started another number of threads.
    """
    count = config.intra_op_threads
    if count is None:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(count)
    except RuntimeError as error:
        raise UsageError(
            f"--intra_op_threads={count} comes too late: TensorFlow has already started its "
            "threads in this process; set it for the first run of a new process"
        ) from error


def session_config(config: Config) -> Any:
    """Return the ConfigProto of a run's session."""
    gpu_options = tf.GPUOptions(allow_growth=config.gpu_allow_growth)
    if config.gpu_memory_fraction is not None:
        gpu_options.per_process_gpu_memory_fraction = config.gpu_memory_fraction
    # Soft placement, because the input stream and the int32 counters have no GPU kernels.
    session_config = tf.ConfigProto(allow_soft_placement=True, gpu_options=gpu_options)
    if config.inter_op_threads is not None:
        session_config.inter_op_parallelism_threads = config.inter_op_threads
        # Without this, all sessions of the process share the threads of the first one.
        session_config.use_per_session_threads = True
    return session_config
