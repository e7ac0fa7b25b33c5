"""Read the operations of a network: which there are, and what they are."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from cnnlab.base.tf1 import tf

_SCOPE: Final = "/model/"  # that of a tower


def operations_between(inputs: Any, last: Any) -> list[Any]:
    """Return the operations on the way from a tensor to an operation, each after its inputs."""
    from_inputs, found, stack = set(), [], [inputs]
    while stack:
        for user in stack.pop().consumers():
            if user.name not in from_inputs:
                from_inputs.add(user.name)
                stack += user.outputs
    seen, waiting = {inputs.op.name}, [last]
    while waiting:
        op = waiting.pop()
        if op.name in from_inputs and op.name not in seen:
            seen.add(op.name)
            found.append(op)
            waiting += [tensor.op for tensor in op.inputs]
    return sorted(found, key=lambda op: op._id)  # in the order in which they were made


def layer_of(op: Any) -> str:
    """Return the name of the layer that an operation belongs to."""
    name = op.name.partition(_SCOPE)[2] or op.name
    layer, _, own = name.rpartition("/")
    return layer.removesuffix("/batchnorm") or own


def padding_of(op: Any) -> str:
    """Return the padding of a convolution or pooling as Keras writes it, as "same"."""
    return str(op.get_attr("padding").decode().lower())


def constant_of(op: Any, position: int) -> Any:
    """Return the value of an input that is a constant: a list or a number; None if it is not."""
    value = tf.get_static_value(op.inputs[position])
    return None if value is None else value.tolist()


def variable_of(tensor: Any) -> str | None:
    """Return the name of the variable that a tensor reads; None: it reads none."""
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor.op.inputs[0].op.name if tensor.op.type == "ReadVariableOp" else None


def sides_of_mask(noise_shape: Any, inputs: Any) -> list[int | None] | None:
    """Return the sides of a dropout's mask, where None is a side of the inputs.

    Args:
        noise_shape: as for `cnnlab.layers.dropout`: a sequence of sides, or a tensor of them.
        inputs: of the dropout.

    Returns:
        None if a side is computed in another way.
    """
    if tf.is_tensor(noise_shape):
        is_packed = noise_shape.op.type == "Pack"
        noise_shape = noise_shape.op.inputs if is_packed else tf.get_static_value(noise_shape)
    sides: list[int | None] = []
    for axis, side in enumerate(() if noise_shape is None else noise_shape):
        value = tf.get_static_value(side) if tf.is_tensor(side) else side
        if value is None and side is not None and not _is_side(side, inputs, axis):
            return None
        sides.append(None if value is None else int(value))
    return sides or None


def _is_side(side: Any, inputs: Any, axis: int) -> bool:
    """Return whether a tensor is `tf.shape(inputs)[axis]`."""
    if side.op.type != "StridedSlice" or side.op.inputs[0].op.type != "Shape":
        return False
    measured = side.op.inputs[0].op.inputs[0]
    return measured.name == inputs.name and constant_of(side.op, 1) == [axis]


def scale_and_offset(kind: str, number: float, *, is_first: bool) -> tuple[float, float] | None:
    """Return (s, o) so that an operation on x and a number gives s * x + o; None: there are none.

    Args:
        kind: the type of the operation.
        number: the number.
        is_first: whether x is the first of the two.
    """
    if kind == "Mul":
        return number, 0.0
    if kind == "AddV2":
        return 1.0, number
    if kind == "Sub":
        return (1.0, -number) if is_first else (-1.0, number)
    return (1 / number, 0.0) if kind == "RealDiv" and is_first and number else None


def operations_of_gelu(op: Any, after: Any) -> list[Any]:
    """Return the operations of a gelu as exports have it, 0.5 * x * (1 + erf(x * sqrt(0.5))).

    Args:
        op: the first of them, 0.5 * x.
        after: the next operation, which alone uses its output.

    Returns:
        all of them, the last one last; none if they are something else.
    """
    if op.type != "Mul" or after.type != "Mul" or after.inputs[0] is not op.outputs[0]:
        return []
    add = after.inputs[1].op
    if add.type != "AddV2" or add.inputs[1].op.type != "Erf":
        return []
    erf = add.inputs[1].op
    scaled = erf.inputs[0].op
    if scaled.type != "Mul" or scaled.inputs[0] is not op.inputs[1]:
        return []
    numbers = [constant_of(op, 0), constant_of(add, 0), constant_of(scaled, 1)]
    is_gelu = None not in numbers and np.allclose(numbers, [0.5, 1, 0.5**0.5])
    return [op, scaled, erf, add, after] if is_gelu else []
