"""What is said at the program's end: what stood in for what, and what cnnlab would do."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any, Final

from cnnlab.base.printing import print_lines
from cnnlab.base.tf1 import tf
from cnnlab.run_tf1 import noted

_LONGEST_NAME: Final = 44
_OPTIMIZERS: Final = {
    "GradientDescentOptimizer": "sgd",
    "MomentumOptimizer": "momentum",
    "AdamOptimizer": "adam",
    "RMSPropOptimizer": "rmsprop",
    "AdagradOptimizer": "adagrad",
}
# cnnlab's option -> the optimizer's argument, where it differs from the default
_ARGUMENTS: Final = {
    "adam": {"beta1": ("beta1", 0.9), "beta2": ("beta2", 0.999), "epsilon": ("epsilon", 1e-8)},
    "momentum": {"momentum": ("momentum", 0.9)},
    "nesterov": {"momentum": ("momentum", 0.9)},
    "rmsprop": {
        "rho": ("decay", 0.9),
        "momentum": ("momentum", 0.0),
        "epsilon": ("epsilon", 1e-10),
    },
}
# Kernels of networks of cnnlab, in their order.
_NETWORKS: Final[dict[tuple[tuple[int, ...], ...], str]] = {
    ((784, 10),): "mnist_perceptron",
    ((5, 5, 1, 32), (5, 5, 32, 64), (3136, 1024), (1024, 10)): "mnist_cnn",
    ((3, 3, 1, 32), (3, 3, 32, 64), (9216, 128), (128, 10)): "mnist_convnet",
}


def print_report(program: str) -> None:
    """Print the report on stderr; program: its file."""
    lines = [f"  {_padded(old)} {new}" for old, new in noted.stand_ins.items()]
    if lines:
        lines.insert(0, "run-tf1: what stood in for what this program used:")
    command = train_command(program)
    if command:
        lines += [
            "run-tf1: cnnlab's own training, with exact resumption, for this program:",
            command,
        ]
    if lines:
        print_lines("\n".join(lines), to_stderr=True)


def _padded(name: str) -> str:
    width = min(_LONGEST_NAME, max(len(each) for each in noted.stand_ins))
    return name.ljust(width)


def train_command(program: str) -> str:
    """Return the options of `cnnlab train` that match what was seen, or "" if too little was."""
    if not noted.datasets or not noted.steps:
        return ""
    options: dict[str, Any] = {"dataset": next(reversed(noted.datasets))}
    options |= _optimizer_options()
    if (
        size := noted.batches.most_common(1)[0][0]
        if noted.batches
        else noted.traits.get("batch_size")
    ):
        options["batch_size"] = size
    options["steps"] = noted.steps
    options["model"] = _model(program)
    return "  cnnlab train " + " ".join(f"--{name}={value}" for name, value in options.items())


def _model(program: str) -> str:
    kernels = _kernels()
    if kernels in _NETWORKS:
        return _NETWORKS[kernels]
    is_chain = len(kernels) > 1 and all(
        len(kernel) == 2 and kernel[1] == following[0]
        for kernel, following in itertools.pairwise(kernels)
    )
    if is_chain and kernels[0][0] == 784 and kernels[-1][1] == 10:
        units = ",".join(str(kernel[1]) for kernel in kernels[:-1])
        return f'mnist_mlp --model_options="{{dense_units: [{units}]}}"'
    return f"{Path(program).stem}_net.py:net  (its layers, as net(images, num_classes, training))"


def _kernels() -> tuple[tuple[int, ...], ...]:
    shapes = (variable.shape.as_list() for variable in tf.trainable_variables())
    return tuple(tuple(shape) for shape in shapes if len(shape) > 1 and math.prod(shape) > 0)


def _optimizer_options() -> dict[str, Any]:
    known = [(_OPTIMIZERS[kind], given) for kind, given in noted.optimizers if kind in _OPTIMIZERS]
    if not known:
        return {}
    name, given = known[-1]
    if name == "momentum" and given.get("use_nesterov"):
        name = "nesterov"
    options: dict[str, Any] = {"optimizer": name}
    rate = given.get("learning_rate", 0.001)
    decay = noted.traits.get("decay")
    if isinstance(rate, int | float):
        options |= {"learning_rate": rate, "schedule": "constant"}
    elif decay is not None:
        rate, decay_steps, decay_rate, staircase = decay
        options |= {"learning_rate": rate, "schedule": "exponential"}
        options |= {"decay_steps": int(decay_steps), "decay_rate": decay_rate}
        options["staircase"] = staircase
    for option, (argument, default) in _ARGUMENTS.get(name, {}).items():
        value = given.get(argument, default)
        if isinstance(value, int | float) and value != default:
            options[option] = value
    return options
