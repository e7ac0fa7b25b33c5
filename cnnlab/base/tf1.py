"""TensorFlow: the only file that imports it, at its first use and without messages.

`tf` is `tensorflow.compat.v1`. The legacy layers behind `tf.layers` come from tf_keras, because
TensorFlow's own alias for them raises under Keras 3.

Importing TensorFlow takes some seconds. It happens at the first use of a name, so `import cnnlab`,
`--help` and a mistyped flag are fast. No global setting of TensorFlow changes: eager execution
stays on and `tf.keras` stays Keras 3, because cnnlab works only inside its own `tf.Graph()` (see
`cnnlab.base.surroundings`).
"""

from __future__ import annotations

import importlib
import itertools
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, BinaryIO, Final

from cnnlab.base.errors import CnnlabError
from cnnlab.base.garbage import gc_paused
from cnnlab.base.machine import cpu_features
from cnnlab.base.signals import signals_held

KERAS_PROBE: Final = "keras.src.optimizers"  # TensorFlow loads Keras 3 by importing this
ISAS_WITHOUT_AVX512: Final = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2")  # oneDNN's names


# Modules that are imported at their first use.


class _LazyModule(ModuleType):
    """A module that is imported at the first use of one of its names."""

    def __getattr__(self, name: str) -> Any:
        module = _load(self.__name__)
        value = getattr(module, name)
        if not name.startswith("__"):
            setattr(self, name, value)  # later uses find it without this call
        return value


tf: Any = _LazyModule("tensorflow.compat.v1")
tf2: Any = _LazyModule("tensorflow.compat.v2")  # for names that version 1 lacks
lite_errors: Any = _LazyModule("tensorflow.lite.python.convert_phase")
function_def_to_graph: Any = _LazyModule("tensorflow.python.framework.function_def_to_graph")
framework_config: Any = _LazyModule("tensorflow.python.framework.config")
framework_random_seed: Any = _LazyModule("tensorflow.python.framework.random_seed")
framework_ops: Any = _LazyModule("tensorflow.python.framework.ops")
eager_context: Any = _LazyModule("tensorflow.python.eager.context")
tf2_switch: Any = _LazyModule("tensorflow.python.tf2")
config_pb2: Any = _LazyModule("tensorflow.core.protobuf.config_pb2")
util_port: Any = _LazyModule("tensorflow.python.util._pywrap_util_port")
kernels: Any = _LazyModule("tensorflow.python.framework.kernels")
xla_ops: Any = _LazyModule("tensorflow.compiler.tf2xla.ops.gen_xla_ops")
timeline: Any = _LazyModule("tensorflow.python.client.timeline")
legacy_convolutional: Any = _LazyModule("tf_keras.src.legacy_tf_layers.convolutional")
legacy_core: Any = _LazyModule("tf_keras.src.legacy_tf_layers.core")
legacy_normalization: Any = _LazyModule("tf_keras.src.legacy_tf_layers.normalization")
legacy_pooling: Any = _LazyModule("tf_keras.src.legacy_tf_layers.pooling")
mixed_precision: Any = _LazyModule("tf_keras.mixed_precision")
keras_regularizers: Any = _LazyModule("tf_keras.regularizers")
keras3: Any = _LazyModule("keras")  # only exports use it


_loading = threading.RLock()  # a second thread would find TensorFlow half imported


def _load(name: str) -> ModuleType:
    with _loading, gc_paused():
        if "tensorflow" not in sys.modules:
            _load_tensorflow()
        # Parents first: Python waits for a module that another thread is importing, but not for
        # the parents of one. A thread of the user's may be at `import tensorflow`.
        for parent in itertools.accumulate(name.split("."), "{}.{}".format):
            importlib.import_module(parent)
        return sys.modules[name]


def _load_tensorflow() -> None:
    if sys.flags.optimize > 1:
        raise CnnlabError(
            "python -OO removes docstrings, without which TensorFlow's layers cannot be loaded; "
            "use python -O"
        )
    # By default TensorFlow leaves oneDNN off on CPUs with AVX2 only, where it speeds up CNNs.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with quiet_stderr(), _without_keras(), signals_held():
            tensorflow = importlib.import_module("tensorflow")
    except (ImportError, OSError, MemoryError) as error:
        raise CnnlabError(f"TensorFlow cannot be loaded: {error}") from error
    tensorflow.get_logger().setLevel("ERROR")


@contextmanager
def _without_keras() -> Iterator[None]:
    """Keep `import tensorflow` from loading Keras 3 as well, which is slow and rarely needed.

    TensorFlow imports `KERAS_PROBE` last, and continues if that fails. `tf.keras` still loads Keras
    at its first use.
    """
    if KERAS_PROBE in sys.modules:
        yield
        return
    sys.modules[KERAS_PROBE] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[KERAS_PROBE]


# What TensorFlow prints, and the errors it raises.


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what C++ code writes to stderr inside the block, and show it only on failure.

    While TensorFlow is loaded, it writes to the file descriptor directly, before it reads its log
    level.
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
    """Return a temporary file, or the null device where no temporary file can be made."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "w+b")


@contextmanager
def translate_op_errors(what: str) -> Iterator[None]:
    """Translate an error of a TensorFlow op in the block into a CnnlabError of one line.

    Args:
        what: what the block does, as in "evaluation"; begins the message.

    Raises:
        CnnlabError: `what`, and TensorFlow's reason.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise CnnlabError(f"{what}: not enough memory; try a smaller batch") from error
    except tf.errors.OpError as error:
        for failure in _failures:
            if _mark_of(failure) in str(error):
                _failures.clear()
                raise failure from None
        raise CnnlabError(f"{what}: {reason_of(error)}") from error


_failures: list[CnnlabError] = []


def failing_as_itself(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a Python function for an op, whose CnnlabErrors `translate_op_errors` raises again.

    TensorFlow would turn them into an error of its own, of many lines.
    """

    def guarded(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except CnnlabError as error:
            _failures.append(error)
            raise RuntimeError(_mark_of(error)) from error

    return guarded


def _mark_of(failure: CnnlabError) -> str:
    return f"cnnlab failure {id(failure)}"


def reason_of(error: Exception) -> str:
    """Return the line of TensorFlow's message that says what went wrong, at most 300 characters."""
    text = str(getattr(error, "message", None) or error) or type(error).__name__
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # Of the workers of a run, TensorFlow first says which one it was.
    usual = re.compile(r"Graph execution error:|From /job:\S+:")
    lines = [line for line in lines if not usual.fullmatch(line)] or lines
    # A long message first says where each node was created. The reason follows the last node.
    named = [number for number, line in enumerate(lines[:-1]) if line.startswith("Node: ")]
    return lines[named[-1] + 1 if named else 0][:300]


# Sessions. TensorFlow's threads do not survive `fork`, so a session run in the child never ends.

_processes_with_sessions: set[int] = set()


def open_session(graph: Any, config: Any = None, target: str = "") -> Any:
    """Return a new `tf.Session`.

    Args:
        graph: its graph.
        config: a ConfigProto.
        target: of a `tf.train.Server`; default: this process.

    Raises:
        CnnlabError: this process was forked from one that had a session.
    """
    check_not_forked()
    _processes_with_sessions.add(os.getpid())
    return tf.Session(target, graph=graph, config=config)


def of_this_process(session: Any) -> Any:
    """Return the session, if a fork did not make it useless.

    Raises:
        CnnlabError: this process was forked from one that had a session.
    """
    check_not_forked()
    return session


def check_not_forked() -> None:
    """Raise CnnlabError if this process was forked from one that had a session."""
    if _processes_with_sessions - {os.getpid()}:
        raise CnnlabError(
            "this process was forked from one that had a TensorFlow session, and would wait for "
            "ever; start it with multiprocessing.get_context('spawn'), or fork before the first "
            "session"
        )


# Facts about this machine's TensorFlow, and settings of a session run.


def on_calling_thread() -> Any:
    """Return the RunOptions that start ops one after the other, on the calling thread.

    Each op may still use all cores.
    """
    return tf.RunOptions(inter_op_thread_pool=-1)


def onednn_is_on() -> bool:
    """Return whether TensorFlow uses oneDNN on this CPU."""
    return bool(util_port.IsMklEnabled())


def onednn_uses_avx512() -> bool:
    """Return whether oneDNN uses AVX-512.

    The CPU must have it, and no environment variable may limit oneDNN to an older instruction set.
    """
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or ""
    return "avx512f" in cpu_features() and limit.upper() not in ISAS_WITHOUT_AVX512


def is_on_cpu(tensor: Any) -> bool:
    """Return whether a tensor of a graph will be computed on the CPU."""
    if tensor.device:
        return "CPU" in tensor.device.upper()
    return not tf.config.list_physical_devices("GPU")
