"""Watching what the program does, for the report at its end. Nothing that it computes changes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Final

from cnnlab.base.tf1 import tf
from cnnlab.run_tf1 import noted

# The arguments of the optimizers that cnnlab has too, by position.
_OPTIMIZERS: Final = {
    "GradientDescentOptimizer": ("learning_rate",),
    "MomentumOptimizer": ("learning_rate", "momentum", "use_locking", "name", "use_nesterov"),
    "AdamOptimizer": ("learning_rate", "beta1", "beta2", "epsilon"),
    "RMSPropOptimizer": ("learning_rate", "decay", "momentum", "epsilon"),
    "AdagradOptimizer": ("learning_rate",),
    "AdadeltaOptimizer": ("learning_rate", "rho", "epsilon"),
    "FtrlOptimizer": ("learning_rate",),
}
_DEPTH: Final = 3  # operations between what is fetched and what applies the gradients
_updates: set[Any] = set()
_is_update: dict[Any, bool] = {}


def observe_training(*, has_gpu: bool) -> None:
    """From here on, note optimizers and the batches of training steps, in this process.

    Where there is no GPU, sessions also place the operations of `tf.device("/gpu:0")` on the CPU.
    """
    for name, arguments in _OPTIMIZERS.items():
        _observe_optimizer(getattr(tf.train, name), arguments)
    _observe_updates(tf.train.Optimizer)
    _observe_sessions(tf.Session.__mro__[1], has_gpu)
    kind = tf.data.Dataset
    kind.batch = note_batch(kind.batch)


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
        if made is not None:
            _updates.add(getattr(made, "op", made))
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
        if any(_trains(fetched) for fetched in _flat(fetches)):
            noted.steps += 1
            _note_feed(feed_dict or {})
        return result

    kind.__init__, kind.run = init, observed


def _flat(fetches: Any) -> Iterator[Any]:
    if isinstance(fetches, dict):
        fetches = list(fetches.values())
    if isinstance(fetches, list | tuple):
        for each in fetches:
            yield from _flat(each)
    else:
        yield fetches


def _trains(fetched: Any) -> bool:
    """Return whether fetching this applies gradients: it does itself, or what it waits for."""
    operation = getattr(fetched, "op", fetched)
    if not isinstance(operation, tf.Operation):
        return False
    if operation not in _is_update:
        near = {operation}
        for _depth in range(_DEPTH):
            near |= {one for each in near for one in each.control_inputs}
            near |= {one.op for each in near for one in each.inputs if len(each.inputs) < 2}
        _is_update[operation] = not near.isdisjoint(_updates)
    return _is_update[operation]


def _note_feed(feed_dict: Any) -> None:
    sizes = [len(value) for value in feed_dict.values() if getattr(value, "ndim", 0) > 1]
    if sizes:
        noted.batches[max(sizes)] += 1


def note_batch(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that also notes its argument batch_size."""

    @functools.wraps(function)
    def noting(data: Any, batch_size: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(batch_size, int) and "batch_size" not in noted.traits:
            noted.traits["batch_size"] = batch_size
        return function(data, batch_size, *args, **kwargs)

    return noting


def note_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Any:
    """Call `tf.train.exponential_decay`, and note its arguments."""
    given = (learning_rate, decay_steps, decay_rate)
    if all(isinstance(each, int | float) for each in given):
        noted.traits["decay"] = (*given, staircase)
    return tf.train.exponential_decay(
        learning_rate, global_step, decay_steps, decay_rate, staircase, name
    )


@functools.cache
def has_gpu() -> bool:
    """Return whether TensorFlow can use a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))
