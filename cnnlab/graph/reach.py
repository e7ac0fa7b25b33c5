"""What the options for all layers do not reach in a model, in one line for people.

`--activation` and `--precision` act on the layers of `cnnlab.layers`, not on TensorFlow's own
operations. `--l1` and `--l2` leave a kernel with a regularizer of its own alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from cnnlab import layers
from cnnlab.base.tf1 import tf
from cnnlab.base.user_code import place_of_operation
from cnnlab.config.config import Config
from cnnlab.layers.penalties import is_kernel
from cnnlab.layers.tower import Tower

_LAYERS: Final = str(Path(layers.__file__).parent)
_MOST_SHOWN: Final = 3
_ACTIVATIONS: Final = {
    "Elu": "tf.nn.elu",
    "LeakyRelu": "tf.nn.leaky_relu",
    "Relu": "tf.nn.relu",
    "Relu6": "tf.nn.relu6",
    "Selu": "tf.nn.selu",
    "Sigmoid": "tf.sigmoid",
    "Softplus": "tf.nn.softplus",
    "Tanh": "tf.tanh",
}
_PRODUCTS: Final = {
    "Conv2D": "tf.nn.conv2d",
    "Conv3D": "tf.nn.conv3d",
    "DepthwiseConv2dNative": "tf.nn.depthwise_conv2d",
    "MatMul": "tf.matmul",
}


def describe_unreached(config: Config, tower: Tower, logits: Any) -> str:
    """Return one line on the options that do not reach all of the model; "" if they do.

    Args:
        config: the run's options.
        tower: of the inference graph, built.
        logits: what the model returned.
    """
    found = []
    if config.activation is not None:
        places = _own_operations(logits.graph, tower, _ACTIVATIONS)
        found.append(_line(f"--activation={config.activation}", places))
    if config.precision != "float32":
        places = _own_operations(logits.graph, tower, _PRODUCTS)
        found.append(_line(f"--precision={config.precision}", places))
    has_kernels = any(is_kernel(variable) for variable in tf.trainable_variables())
    for name in ("l1", "l2"):
        if value := getattr(config, name):
            own = [f"{kernel}, which has its own regularizer" for kernel in tower.own_regularizers]
            found.append(_line(f"--{name}={value}", own if has_kernels else ["any kernel"]))
    if config.kernel_initializer is not None and not has_kernels:
        found.append(_line(f"--kernel_initializer={config.kernel_initializer}", ["any kernel"]))
    return "; ".join(line for line in found if line)


def _own_operations(graph: Any, tower: Tower, kinds: dict[str, str]) -> list[str]:
    """Return the operations of these kinds that the model made without a layer, with places."""
    return [
        f"{kinds[op.type]} at {place_of_operation(op)}"
        for op in graph.get_operations()
        if op.type in kinds
        and op.name.startswith(f"{tower.scope}/")
        and not any(frame.filename.startswith(_LAYERS) for frame in op.traceback)
    ]


def _line(option: str, unreached: Iterable[str]) -> str:
    """Return that an option does not reach these; "" if there are none."""
    all_of_them = list(dict.fromkeys(unreached))
    if not all_of_them:
        return ""
    shown, rest = all_of_them[:_MOST_SHOWN], len(all_of_them) - _MOST_SHOWN
    return f"{option} does not reach {', '.join(shown)}" + (f" and {rest} more" if rest > 0 else "")
