"""The only place that imports TensorFlow: environment first, quietly, and not before it is needed.

`tf` is `tensorflow.compat.v1`; the legacy layers behind `tf.layers` live in tf_keras (TensorFlow's
own alias raises under Keras 3). Both are imported at their first use, which takes some seconds, so
that `import cnnlab`, `--help` and a mistyped flag do not pay for it. Nothing global is switched:
eager execution and `tf.keras` stay as they were, because all our work is inside our own
`tf.Graph()`.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, BinaryIO, Final

from cnnlab.base.errors import CnnlabError
from cnnlab.base.garbage import gc_paused
from cnnlab.base.machine import cpu_features

KERAS_WANTED: Final = "keras.src.optimizers"
ISAS_WITHOUT_AVX512: Final = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2")  # oneDNN's names


class _LazyModule(ModuleType):
    """A module that is imported at the first use of one of its names."""

    def __getattr__(self, name: str) -> Any:
        module = _load(self.__name__)
        value = getattr(module, name)
        if not name.startswith("__"):
            setattr(self, name, value)  # the next use does not pass here
        return value


def _load(name: str) -> ModuleType:
    with gc_paused():
        if "tensorflow" not in sys.modules:
            _load_tensorflow()
        return importlib.import_module(name)


def _load_tensorflow() -> None:
    # TensorFlow leaves oneDNN off on AVX2 CPUs, where it doubles the speed of CNNs.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with quiet_stderr(), _without_keras():
            tensorflow = importlib.import_module("tensorflow")
    except (ImportError, OSError, MemoryError) as error:
        raise CnnlabError(f"TensorFlow cannot be loaded: {error}") from error
    tensorflow.get_logger().setLevel("ERROR")


@contextmanager
def _without_keras() -> Iterator[None]:
    """Keep TensorFlow from loading Keras 3, which takes a second, before anyone wants it.

    It asks for this module when all else is loaded, and goes on if there is none; `tf.keras` is
    loaded at its first use, as always.
    """
    if KERAS_WANTED in sys.modules:
        yield
        return
    sys.modules[KERAS_WANTED] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[KERAS_WANTED]


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what C++ code writes to stderr, and show it only if the block fails.

    While it is loaded TensorFlow writes to the file descriptor itself, before its log level is
    read.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with _held_output() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _held_output() -> BinaryIO:
    """A file to hold output for a while, or where there is no room for one, nothing."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "w+b")


@contextmanager
def translate_op_errors(what: str) -> Iterator[None]:
    """Turn a failure of TensorFlow in the block into one line.

    Raises:
        CnnlabError: what failed, and TensorFlow's reason.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise CnnlabError(f"{what}: not enough memory; try a smaller batch") from error
    except tf.errors.OpError as error:
        raise CnnlabError(f"{what}: {reason_of(error)}") from error


def reason_of(error: Exception) -> str:
    """What went wrong, of all that TensorFlow says of it: one line of at most 300 characters."""
    text = str(getattr(error, "message", None) or error) or type(error).__name__
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if line != "Graph execution error:"] or lines
    # A long message says where the node was made; what went wrong stands after its name.
    named = [number for number, line in enumerate(lines[:-1]) if line.startswith("Node: ")]
    return lines[named[-1] + 1 if named else 0][:300]


def on_calling_thread() -> Any:
    """RunOptions of a session run whose operations start on the calling thread, one after the
    other; each may still use all cores."""
    return tf.RunOptions(inter_op_thread_pool=-1)


def onednn_is_on() -> bool:
    """Whether TensorFlow computes with oneDNN on this CPU."""
    with quiet_stderr():
        from tensorflow.python.util import _pywrap_util_port
    return bool(_pywrap_util_port.IsMklEnabled())


def onednn_uses_avx512() -> bool:
    """Whether oneDNN computes in vectors of 512 bits: the CPU has them, and no environment variable
    keeps oneDNN from them."""
    held_to = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or ""
    return "avx512f" in cpu_features() and held_to.upper() not in ISAS_WITHOUT_AVX512


def is_on_cpu(tensor: Any) -> bool:
    """Whether a tensor of a graph will be computed on the CPU."""
    if tensor.device:
        return "CPU" in tensor.device.upper()
    return not tf.config.list_physical_devices("GPU")


tf: Any = _LazyModule("tensorflow.compat.v1")
tf2: Any = _LazyModule("tensorflow.compat.v2")  # for what version 1's names lack
lite_errors: Any = _LazyModule("tensorflow.lite.python.convert_phase")
function_def_to_graph: Any = _LazyModule("tensorflow.python.framework.function_def_to_graph")
framework_ops: Any = _LazyModule("tensorflow.python.framework.ops")
config_pb2: Any = _LazyModule("tensorflow.core.protobuf.config_pb2")
kernels: Any = _LazyModule("tensorflow.python.framework.kernels")
xla_ops: Any = _LazyModule("tensorflow.compiler.tf2xla.ops.gen_xla_ops")
timeline: Any = _LazyModule("tensorflow.python.client.timeline")
legacy_convolutional: Any = _LazyModule("tf_keras.src.legacy_tf_layers.convolutional")
legacy_core: Any = _LazyModule("tf_keras.src.legacy_tf_layers.core")
legacy_normalization: Any = _LazyModule("tf_keras.src.legacy_tf_layers.normalization")
legacy_pooling: Any = _LazyModule("tf_keras.src.legacy_tf_layers.pooling")
mixed_precision: Any = _LazyModule("tf_keras.mixed_precision")
