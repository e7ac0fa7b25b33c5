"""The modules of `tf.contrib` that CNN programs use, and TensorFlow's MNIST tutorial.

`MODULES` has a function for each that returns its names; other modules are gone (`gone`).
"""

from __future__ import annotations

import importlib
from typing import Any

from cnnlab.base.tf1 import tf
from cnnlab.run_tf1 import (
    contrib_layers,
    contrib_separable,
    contrib_shapes,
    contrib_weights,
    old_data,
    slim_training,
)
from cnnlab.run_tf1.contrib_extras import (
    AdamWOptimizer,
    HParams,
    analyze_vars,
    apply_batched,
    evaluate_once,
    ignore_errors,
    shuffled_and_repeated,
)
from cnnlab.run_tf1.contrib_framework import names_of_framework
from cnnlab.run_tf1.contrib_losses import names_of_losses, names_of_metrics
from cnnlab.run_tf1.overlay import OldModule


def _layers() -> dict[str, Any]:
    convolution = contrib_layers.convolution2d
    transposed = contrib_layers.convolution2d_transpose
    separable = contrib_separable.separable_convolution2d
    dense = contrib_layers.fully_connected
    return {
        **_public(contrib_weights),
        **_public(contrib_shapes),
        "xavier_initializer_conv2d": contrib_weights.xavier_initializer,
        "conv2d": convolution,
        "convolution": convolution,
        "convolution2d": convolution,
        "conv2d_transpose": transposed,
        "convolution2d_transpose": transposed,
        "separable_conv2d": separable,
        "separable_convolution2d": separable,
        "fully_connected": dense,
        "relu": _with_activation(dense, tf.nn.relu),
        "relu6": _with_activation(dense, tf.nn.relu6),
        "linear": _with_activation(dense, None),
        "legacy_fully_connected": dense,
        "max_pool2d": contrib_layers.max_pool2d,
        "avg_pool2d": contrib_layers.avg_pool2d,
        "softmax": tf.nn.softmax,
        "summarize_tensors": lambda tensors: [_summarize(each) for each in tensors],
        "summarize_activation": _summarize,
        "optimize_loss": slim_training.optimize_loss,
        "OPTIMIZER_CLS_NAMES": {},
    }


def _public(module: Any) -> dict[str, Any]:
    """Return the functions that a module defines."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    }


def _with_activation(layer: Any, activation: Any) -> Any:
    def layer_with(*args: Any, **kwargs: Any) -> Any:
        return layer(*args, activation_fn=activation, **kwargs)

    return layer_with


def _summarize(tensor: Any) -> Any:
    return tf.summary.histogram(tensor.op.name, tensor)


def _slim() -> dict[str, Any]:
    return {
        **_layers(),
        **names_of_framework(),
        "get_global_step": tf.train.get_global_step,
    }


def _mnist_base() -> dict[str, Any]:
    return {
        "read_data_sets": old_data.read_data_sets,
        "load_mnist": old_data.load_mnist,
        "DataSet": old_data.DataSet,
        "Datasets": old_data.Datasets,
        "dense_to_one_hot": old_data.dense_to_one_hot,
    }


def _rnn() -> dict[str, Any]:
    cells = {
        name: getattr(tf.nn.rnn_cell, name)
        for name in dir(tf.nn.rnn_cell)
        if name.endswith(("Cell", "Wrapper", "Tuple"))
    }
    names = "static_rnn static_bidirectional_rnn static_state_saving_rnn"
    return {
        **cells,
        **{name: getattr(tf.nn, name) for name in names.split()},
        "core_rnn_cell": OldModule("tensorflow.contrib.rnn.core_rnn_cell", cells),
    }


def _data() -> dict[str, Any]:
    return {
        "Dataset": tf.data.Dataset,
        "Iterator": tf.data.Iterator,
        "TFRecordDataset": tf.data.TFRecordDataset,
        "TextLineDataset": tf.data.TextLineDataset,
        "FixedLengthRecordDataset": tf.data.FixedLengthRecordDataset,
        "map_and_batch": apply_batched,
        "shuffle_and_repeat": shuffled_and_repeated,
        "batch_and_drop_remainder": lambda size: lambda data: data.batch(size, drop_remainder=True),
        "ignore_errors": ignore_errors,
        "prefetch_to_device": lambda _device, buffer_size=1: (
            lambda data: data.prefetch(buffer_size)
        ),
        "AUTOTUNE": tf.data.experimental.AUTOTUNE,
    }


def _learn() -> dict[str, Any]:
    return {"ModeKeys": _ModeKeys}


class _ModeKeys:
    TRAIN, EVAL, INFER = "train", "eval", "infer"


_PROJECTOR = "tensorboard.plugins.projector"
# full name below "tensorflow." -> the names in it
MODULES: dict[str, Any] = {
    "contrib": dict,
    "contrib.layers": _layers,
    "contrib.framework": names_of_framework,
    "contrib.slim": _slim,
    "contrib.slim.losses": names_of_losses,
    "contrib.slim.metrics": names_of_metrics,
    "contrib.slim.learning": lambda: _public(slim_training),
    "contrib.slim.evaluation": lambda: {"evaluate_once": evaluate_once},
    "contrib.slim.model_analyzer": lambda: {"analyze_vars": analyze_vars},
    "contrib.losses": names_of_losses,
    "contrib.metrics": names_of_metrics,
    "contrib.data": _data,
    "contrib.rnn": _rnn,
    "contrib.opt": lambda: {
        "AdamWOptimizer": AdamWOptimizer,
        "LazyAdamOptimizer": tf.train.AdamOptimizer,
    },
    "contrib.training": lambda: {"HParams": HParams},
    "contrib.util": lambda: {
        "make_tensor_proto": tf.make_tensor_proto,
        "make_ndarray": tf.make_ndarray,
        "constant_value": tf.get_static_value,
    },
    "contrib.learn": _learn,
    "contrib.learn.datasets": lambda: {"load_dataset": _load_dataset},
    "contrib.learn.datasets.mnist": _mnist_base,
    "contrib.learn.datasets.base": lambda: {"Datasets": old_data.Datasets},
    "contrib.tensorboard": dict,
    "contrib.tensorboard.plugins": dict,
    "contrib.tensorboard.plugins.projector": lambda: vars(importlib.import_module(_PROJECTOR)),
    "examples": dict,
    "examples.tutorials": dict,
    "examples.tutorials.mnist": dict,
    "examples.tutorials.mnist.input_data": _mnist_base,
}


# Where the files of contrib were, which programs imported too.
MODULES.update({"contrib.learn.python": dict, "contrib.learn.python.learn": _learn})
for _rest in ("datasets", "datasets.mnist", "datasets.base"):
    MODULES[f"contrib.learn.python.learn.{_rest}"] = MODULES[f"contrib.learn.{_rest}"]
for _name in ("layers", "framework", "slim", "losses", "metrics", "training"):
    for _rest in ("", f".{_name}", f".{_name}.{_name}", ".ops", f".ops.{_name}", ".ops.arg_scope"):
        MODULES[f"contrib.{_name}.python{_rest}"] = MODULES[f"contrib.{_name}"]
    for _rest in ("initializers", "regularizers"):
        MODULES[f"contrib.{_name}.python.{_name}.{_rest}"] = MODULES[f"contrib.{_name}"]


def _load_dataset(name: str, *_: Any, **__: Any) -> Any:
    if name != "mnist":
        raise ValueError(f"tf.contrib.learn.datasets: only mnist is available here, not {name}")
    return old_data.load_mnist()
