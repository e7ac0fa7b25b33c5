"""A summary of a network: each layer's output, operations, parameters and FLOPs.

All of it is read from the inference graph, so it works for any model function.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from cnnlab.base.surroundings import building_in
from cnnlab.base.tf1 import tf
from cnnlab.graph.inference_graph import InferenceGraph
from cnnlab.layers.variables import average_name

CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")
MATRIX_PRODUCTS = ("MatMul", "BatchMatMulV2")
REST = "(outside layers)"
_VARIABLES = ("VarHandleOp", "VariableV2")
# They move the pixels of an image, or repeat some, and compute nothing.
_MOVING = ("Reshape", "Identity", "Pad", "PadV2", "MirrorPad", "Transpose")
# They only move or name values, so the table leaves them out.
_PLUMBING = (
    *_VARIABLES,
    *("Const", "ReadVariableOp", "Identity", "Shape", "StridedSlice", "Pack", "Prod", "GatherV2"),
    *("ConcatV2", "ExpandDims", "Cast"),
)


class Layer(NamedTuple):
    """One row of the summary.

    Attributes:
        name: name of the layer.
        operations: its operations in order, as in ("Conv2D 5x5", "BiasAdd", "Relu").
        output_shape: shape of its output for one image, without the batch.
        parameters: trainable numbers; a shared weight counts in the first layer that uses it.
        fixed_parameters: numbers that are not trained, such as batch norm's moving averages.
        flops: floating-point operations for one image: 2 (a multiplication and an addition) for
            each term of the sums in convolutions and matrix products. Biases, activations, pooling
            and normalization are not counted. None where a shape is known only at run time.
    """

    name: str
    operations: tuple[str, ...]
    output_shape: tuple[int | None, ...]
    parameters: int
    fixed_parameters: int
    flops: int | None


def summarize(inference: InferenceGraph) -> list[Layer]:
    """Return the layers of a network in the order in which they were made.

    Operations outside of layers are the last row, named REST, if they have parameters or FLOPs.
    """
    one_image = _graph_for_one_image(inference)
    trainable = _trainable_names(inference)
    outputs = {**inference.activations, REST: inference.logits}
    rows = []
    counted: set[str] = set()
    for name, operations in operations_by_layer(inference).items():
        variables = [op for op in operations if op.type in _VARIABLES and op.name not in counted]
        counted.update(op.name for op in variables)
        sizes = {op.name: tf.TensorShape(op.get_attr("shape")).num_elements() for op in variables}
        parameters = sum(size for variable, size in sizes.items() if variable in trainable)
        twins = [one_image.get_operation_by_name(f"one_image/{op.name}") for op in operations]
        output = one_image.get_tensor_by_name(f"one_image/{outputs[name].name}")
        row = Layer(
            name,
            tuple(_described(op) for op in twins if op.type not in _PLUMBING),
            tuple(output.shape.as_list()[1:]) if output.shape.rank else (),
            parameters,
            sum(sizes.values()) - parameters,
            _sum_or_none(_flops(op) for op in twins),
        )
        if name != REST or row.parameters or row.flops:
            rows.append(row)
    return rows


def operations_by_layer(inference: InferenceGraph) -> dict[str, list[Any]]:
    """Return each layer's operations, by the layer's name.

    They are those between the layers before it, or the input, and its output.

    An operation belongs to the first layer that needs it. Operations that only the logits need
    belong to REST. They are in the order in which they were made, so each comes after its inputs.
    """
    order = {op.name: i for i, op in enumerate(inference.logits.graph.get_operations())}
    seen = {inference.inputs.op.name}
    found = {}
    for name, output in {**inference.activations, REST: inference.logits}.items():
        region, waiting = [], [output.op]
        while waiting:
            op = waiting.pop()
            if op.name not in seen:
                seen.add(op.name)
                region.append(op)
                waiting += [tensor.op for tensor in op.inputs]
        found[name] = sorted(region, key=lambda op: order[op.name])
    return found


def first_weights(inference: InferenceGraph) -> tuple[str, Any] | None:
    """Return the first layer with weights, and its weights, if it reads the input; else None.

    Returns:
        the layer's name, and float32 [height, width, channels, filters] of a convolution or
        [values, units] of a dense layer.
    """
    for name, operations in operations_by_layer(inference).items():
        for op in operations:
            if op.type in (*CONVOLUTIONS, *MATRIX_PRODUCTS):
                seen = op.inputs[0].op
                image = inference.inputs.op  # may be a Reshape itself
                while seen.name != image.name and seen.type in _MOVING:
                    seen = seen.inputs[0].op
                return (name, op.inputs[1]) if seen.name == image.name else None
    return None


def window_weights(inference: InferenceGraph) -> list[tuple[str, Any]]:
    """Return the weights of the convolutions with windows of more than one pixel, in order.

    Returns:
        for each the layer's name, and float32 [height, width, input channels, filters]; of a
        depthwise convolution [height, width, channels, filters of a channel].
    """
    return [
        (name, op.inputs[1])
        for name, operations in operations_by_layer(inference).items()
        for op in operations
        if op.type in CONVOLUTIONS and max(op.inputs[1].shape.as_list()[:2]) > 1
    ]


def last_feature_maps(inference: InferenceGraph) -> tuple[str, Any] | None:
    """Return the feature maps of the last convolution, and the layer that outputs them, or None.

    If layers follow that keep the shape (normalization, activation), it is the last of them.

    Returns:
        the layer's name, and float32 [batch, height, width, channels], or channels first; see
        `channels_first_layers`.
    """
    names, last = list(inference.activations), None
    for name, operations in operations_by_layer(inference).items():
        if name != REST and any(op.type in CONVOLUTIONS for op in operations):
            last = name
    if last is None:
        return None
    maps = last
    for name in names[names.index(last) + 1 :]:
        if (
            inference.activations[name].shape.as_list()
            != inference.activations[maps].shape.as_list()
        ):
            break
        maps = name
    return maps, inference.activations[maps]


def channels_first_layers(inference: InferenceGraph) -> set[str]:
    """Return the names of the layers whose output is [batch, channels, height, width]."""
    found, is_first = set(), False
    for name, operations in operations_by_layer(inference).items():
        for op in operations:
            if op.outputs and op.outputs[0].shape.rank == 4:
                is_first = _is_first_after(op, is_first)
        if is_first and name != REST and inference.activations[name].shape.rank == 4:
            found.add(name)
    return found


def _is_first_after(op: Any, is_first: bool) -> bool:
    """Return whether an operation gives channels first, if those before it did or did not."""
    if op.type == "Transpose":
        order = tf.get_static_value(op.inputs[1])
        known = {(0, 3, 1, 2): True, (0, 2, 3, 1): False}
        return is_first if order is None else known.get(tuple(order.tolist()), is_first)
    if "data_format" in op.node_def.attr:
        return bool(op.get_attr("data_format") == b"NCHW")
    return is_first


def _graph_for_one_image(inference: InferenceGraph) -> Any:
    """Return the same graph for a batch of one image, so that every shape in it is known."""
    graph = tf.Graph()
    with building_in(graph):
        image = tf.zeros([1, *inference.images_ph.shape[1:]], inference.images_ph.dtype)
        tf.import_graph_def(
            inference.logits.graph.as_graph_def(),
            {inference.images_ph.name: image},
            name="one_image",
        )
    return graph


def _trainable_names(inference: InferenceGraph) -> set[str]:
    """Return the names of trained variables, and of the averages that may replace them."""
    variables = inference.logits.graph.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES)
    names = {variable.op.name for variable in variables}
    return names | {average_name(a, name) for a in ("ema", "lookahead") for name in names}


def _described(op: Any) -> str:
    """Return an operation's type, with the size of its window, and its stride if it is not 1."""
    if op.type in CONVOLUTIONS:
        window, strides = op.inputs[1].shape.as_list()[:2], op.get_attr("strides")
    elif op.type in ("MaxPool", "AvgPool"):
        first = 2 if op.get_attr("data_format") == b"NCHW" else 1
        window, strides = op.get_attr("ksize")[first : first + 2], [1, 1]
    else:
        return str(op.type)
    stride = max(strides)
    text = f"{op.type} {window[0]}x{window[1]}"
    return f"{text}, stride {stride}" if stride != 1 else text


def _flops(op: Any) -> int | None:
    """Return the FLOPs of one operation for a batch of one; None if its shapes are not known."""
    if op.type == "Conv2D":
        terms = op.inputs[1].shape[:3].num_elements()  # kernel [height, width, in, out]
    elif op.type == "DepthwiseConv2dNative":
        terms = op.inputs[1].shape[:2].num_elements()  # kernel [height, width, in, factor]
    elif op.type == "MatMul":
        terms = op.inputs[0].shape.as_list()[0 if op.get_attr("transpose_a") else 1]
    elif op.type == "BatchMatMulV2":
        terms = op.inputs[0].shape.as_list()[-2 if op.get_attr("adj_x") else -1]
    else:
        return 0
    elements = op.outputs[0].shape.num_elements()
    return None if terms is None or elements is None else 2 * int(terms) * int(elements)


def _sum_or_none(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)
