"""Small parts of `tf.contrib`: hyperparameters, data transformations, AdamW, slim's tools."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from cnnlab.base.printing import print_lines
from cnnlab.base.tf1 import tf


class HParams:
    """Named hyperparameters; of tf.contrib.training."""

    def __init__(self, **given: Any) -> None:
        vars(self).update(given)

    def add_hparam(self, name: str, value: Any) -> None:
        """Add one.

        Raises:
            ValueError: there is one of this name.
        """
        if name in vars(self):
            raise ValueError(f"Hyperparameter name is reserved: {name}")
        vars(self)[name] = value

    def set_hparam(self, name: str, value: Any) -> None:
        """Change one."""
        setattr(self, name, value)

    def values(self) -> Mapping[str, Any]:
        """Return all of them by name."""
        return dict(vars(self))

    def override_from_dict(self, values: Mapping[str, Any]) -> HParams:
        """Change several; their types stay."""
        for name, value in values.items():
            if name not in vars(self):
                raise KeyError(f"{name} does not exist.")
            setattr(self, name, value)
        return self

    def parse(self, text: str) -> HParams:
        """Change several from a text, as in "learning_rate=0.1,layers=3"."""
        for part in filter(None, text.split(",")):
            name, _, value = part.partition("=")
            if name not in vars(self):
                raise ValueError(f"Unknown hyperparameter type for {name}")
            kind = type(getattr(self, name))
            setattr(self, name, value in ("true", "True", "1") if kind is bool else kind(value))
        return self

    def __contains__(self, name: str) -> bool:
        return name in vars(self)

    def get(self, name: str, default: Any = None) -> Any:
        """Return one, or the default."""
        return vars(self).get(name, default)


def apply_batched(
    map_func: Callable[..., Any],
    batch_size: int,
    num_parallel_batches: int | None = None,
    drop_remainder: bool = False,
    num_parallel_calls: int | None = None,
) -> Callable[[Any], Any]:
    """Return the transformation that maps a data set and makes batches of it."""
    calls = num_parallel_calls or (num_parallel_batches or 1) * batch_size

    def transform(data: Any) -> Any:
        return data.map(map_func, calls).batch(batch_size, drop_remainder=drop_remainder)

    return transform


def shuffled_and_repeated(
    buffer_size: int, count: int | None = None, seed: int | None = None
) -> Callable[[Any], Any]:
    """Return the transformation that shuffles a data set in each of its repetitions."""
    return lambda data: data.shuffle(buffer_size, seed).repeat(count)


def ignore_errors() -> Callable[[Any], Any]:
    """Return the transformation that leaves elements out whose computation fails."""
    transform: Callable[[Any], Any] = tf.data.experimental.ignore_errors()
    return transform


class AdamWOptimizer(tf.train.AdamOptimizer):
    """Adam with the weight decay of Loshchilov and Hutter 2017; of tf.contrib.opt.

    Args:
        weight_decay: w becomes w - weight_decay * w before Adam's update, without learning rate.
    """

    def __init__(self, weight_decay: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._weight_decay = weight_decay

    def apply_gradients(
        self,
        grads_and_vars: Any,
        global_step: Any = None,
        name: Any = None,
        decay_var_list: Any = None,
    ) -> Any:
        """Decay the variables (default: all that have gradients), then apply Adam."""
        pairs = list(grads_and_vars)
        decayed = decay_var_list or [variable for grad, variable in pairs if grad is not None]
        with tf.control_dependencies([grad for grad, _ in pairs if grad is not None]):
            decays = [v.assign_sub(self._weight_decay * v, use_locking=False) for v in decayed]
        with tf.control_dependencies(decays):
            return super().apply_gradients(pairs, global_step, name)


def analyze_vars(variables: Any, print_info: bool = False) -> tuple[int, int]:
    """Return the number of elements of variables and their bytes; print them on request."""
    total_size = total_bytes = 0
    if print_info:
        print_lines("---------\nVariables: name (type shape) [size]\n---------")
    for variable in variables:
        size = math.prod(variable.shape.as_list())
        num_bytes = size * variable.dtype.base_dtype.size
        total_size, total_bytes = total_size + size, total_bytes + num_bytes
        if print_info:
            kind = variable.dtype.base_dtype.name
            shape = "x".join(str(each) for each in variable.shape.as_list())
            print_lines(f"{variable.name} ({kind}_ref {shape}) [{size}, bytes: {num_bytes}]")
    if print_info:
        print_lines(f"Total size of variables: {total_size}")
        print_lines(f"Total bytes of variables: {total_bytes}")
    return total_size, total_bytes


def evaluate_once(
    master: str,
    checkpoint_path: str,
    logdir: str,
    num_evals: int = 1,
    eval_op: Any = None,
    final_op: Any = None,
    **_: Any,
) -> Any:
    """Restore a checkpoint, run eval_op num_evals times, then return what final_op gives."""
    with tf.Session(master) as session:
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        tf.train.Saver().restore(session, checkpoint_path)
        coordinator = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(session, coordinator)
        for _number in range(num_evals):
            session.run(eval_op)
        result = None if final_op is None else session.run(final_op)
        coordinator.request_stop()
        coordinator.join(threads, stop_grace_period_secs=5, ignore_live_threads=True)
        return result
