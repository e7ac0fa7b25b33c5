"""Watching what the program does, for the report at its end. Nothing that it computes changes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from cnnlab.base.tf1 import tf
from cnnlab.run_tf1 import noted

# The optimizers that cnnlab has too, and the names of their arguments by position.
_OPTIMIZERS: Final = {
    "GradientDescentOptimizer": ("learning_rate",),
    "MomentumOptimizer": ("learning_rate", "momentum", "use_locking", "name", "use_nesterov"),
    "AdamOptimizer": ("learning_rate", "beta1", "beta2", "epsilon"),
    "RMSPropOptimizer": ("learning_rate", "decay", "momentum", "epsilon"),
    "AdagradOptimizer": ("learning_rate",),
    "AdadeltaOptimizer": ("learning_rate", "rho", "epsilon"),
    "FtrlOptimizer": ("learning_rate",),
}
_train_ops: list[Any] = []


def observe_training(*, has_gpu: bool) -> None:
    """From here on, note optimizers and the batches of training steps, in this process.

    Where there is no GPU, sessions also place the operations of `tf.device("/gpu:0")` on the CPU.
    """
    for name, arguments in _OPTIMIZERS.items():
        _observe_optimizer(getattr(tf.train, name), arguments)
    _observe_updates(tf.train.Optimizer)
    _observe_sessions(tf.Session.__mro__[1], has_gpu)


def _observe_optimizer(kind: Any, arguments: tuple[str, ...]) -> None:
    make = kind.__init__

    @functools.wraps(make)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if type(self) is kind:
            given = {**dict(zip(arguments, args, strict=False)), **kwargs}
            noted.optimizers.append((kind.__name__, given))
        make(self, *args, **kwargs)

    kind.__init__ = init


def _observe_updates(kind: Any) -> None:
    apply = kind.apply_gradients

    @functools.wraps(apply)
    def apply_gradients(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = apply(self, *args, **kwargs)
        _train_ops.append(made)
        return made

    kind.apply_gradients = apply_gradients


def _observe_sessions(kind: Any, has_gpu: bool) -> None:
    make, run = kind.__init__, kind.run

    @functools.wraps(make)
    def init(self: Any, target: str = "", graph: Any = None, config: Any = None) -> None:
        if not has_gpu:
            given, config = config, tf.ConfigProto()
            if given is not None:
                config.CopyFrom(given)
            config.allow_soft_placement = True
        make(self, target=target, graph=graph, config=config)

    @functools.wraps(run)
    def observed(self: Any, fetches: Any, feed_dict: Any = None, *args: Any, **kwargs: Any) -> Any:
        result = run(self, fetches, feed_dict, *args, **kwargs)
        if feed_dict:
            _note_feed(feed_dict)
        noted.runs += 1
        return result

    kind.__init__, kind.run = init, observed


def _note_feed(feed_dict: Any) -> None:
    """Note the length of what was fed, which in most runs is a training batch."""
    sizes = [len(value) for value in feed_dict.values() if getattr(value, "ndim", 0) > 1]
    if sizes:
        noted.batches[max(sizes)] += 1


def has_gpu() -> bool:
    """Return whether TensorFlow can use a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def note_calls(function: Callable[..., Any], trait: str) -> Callable[..., Any]:
    """Return a function that also notes that the program used it."""

    @functools.wraps(function)
    def noting(*args: Any, **kwargs: Any) -> Any:
        noted.traits[trait] = (args, kwargs)
        return function(*args, **kwargs)

    return noting
