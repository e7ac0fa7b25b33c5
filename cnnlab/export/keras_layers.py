"""The operations of a network as layers of Keras 3.

An operation becomes the layer that computes the same. A bias and an activation become part of the
layer whose name they have. An operation without a twin is refused, never approximated.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import keras3, tf
from cnnlab.export.keras_batch_norm import Normalization, batch_norm_of
from cnnlab.export.keras_operations import (
    constant_of,
    layer_of,
    operations_between,
    operations_of_gelu,
    padding_of,
    scale_and_offset,
    sides_of_mask,
    variable_of,
)

_ACTIVATIONS: Final = {
    kind: kind.lower()
    for kind in ("Relu", "Relu6", "Tanh", "Sigmoid", "Elu", "Selu", "Softplus", "Softmax")
}
_OF_SEVERAL: Final = {"AddV2": "Add", "Mul": "Multiply", "Sub": "Subtract"} | {
    kind: kind for kind in ("Maximum", "Minimum")
}
_PASSING: Final = ("Identity", "StopGradient", "PreventGradient", "Snapshot")


class Weights(NamedTuple):
    """A layer with variables, and the tensors that have their values, in Keras's order."""

    layer: Any
    tensors: list[Any]


class KerasLayers:
    """Keras's layers for the operations between the inputs of a network and a tensor.

    Attributes:
        weights: the layers that have variables.
        output: the tensor of Keras that corresponds to the network's.
    """

    def __init__(self, inputs: Any, keras_inputs: Any, output: Any, only: dict[str, Any]) -> None:
        """Add the layers.

        Args:
            inputs: float32 [batch, height, width, channels], a tensor of a `tf.Graph`.
            keras_inputs: the corresponding tensor of Keras.
            output: a tensor that depends on `inputs`.
            only: settings that only training uses; see `cnnlab.layers.tower.Tower`.

        Raises:
            CnnlabError: Keras has no twin of an operation. The message names the layer.
        """
        self.weights: list[Weights] = []
        self._only = only
        self._layers: dict[tuple[str, ...], tuple[Any, dict[str, Any]]] = {}  # by their variables
        self._names: set[str] = set()
        self._included: set[str] = set()  # operations that are part of a layer before them
        self._made = {inputs.name: keras_inputs}  # Keras's tensors by the names of TensorFlow's
        operations = operations_between(inputs, output.op)
        self._path = {op.name for op in operations}
        for op in operations:
            if op.name not in self._included:
                self._translate(op)
        self.output = self._made[output.name]

    def _translate(self, op: Any) -> None:
        """Add the layer of an operation, and of the bias and activation after it."""
        kind, first = op.type, op.inputs[0]
        if kind in ("Conv2D", "DepthwiseConv2dNative", "MatMul"):
            self._weighted(op)
        elif kind in _ACTIVATIONS:
            self._add(op, "Activation", activation=_ACTIVATIONS[kind])
        elif kind == "LeakyRelu":
            self._add(op, "LeakyReLU", negative_slope=op.get_attr("alpha"))
        elif kind in ("MaxPool", "AvgPool"):
            self._check(op, op.get_attr("data_format") == b"NHWC", "channels_first")
            name = "MaxPooling2D" if kind == "MaxPool" else "AveragePooling2D"
            size, strides = op.get_attr("ksize")[1:3], op.get_attr("strides")[1:3]
            self._add(op, name, pool_size=size, strides=strides, padding=padding_of(op))
        elif kind in ("Mean", "Max"):
            self._check(op, constant_of(op, 1) in ([1, 2], [2, 1]), "over these axes")
            name = "GlobalAveragePooling2D" if kind == "Mean" else "GlobalMaxPooling2D"
            self._add(op, name, keepdims=op.get_attr("keep_dims"))
        elif kind == "Reshape":
            self._reshape(op)
        elif kind in ("Pad", "PadV2", "MirrorPad"):
            self._pad(op)
        elif kind == "ConcatV2":
            self._add(op, "Concatenate", inputs=op.inputs[:-1], axis=int(constant_of(op, -1)))
        elif kind == "Erf":
            self._made[op.outputs[0].name] = keras3.ops.erf(self._input(op, first))
        elif kind in _PASSING:
            self._pass_on(op)
        elif (found := batch_norm_of(op, self._next(op) or op)) is not None:
            self._normalize(op, found)
        elif operations := operations_of_gelu(op, self._next(op) or op):
            self._included.update(one.name for one in operations)
            x, last = op.inputs[1], operations[-1]
            self._add(op, "Activation", inputs=[x], last=last, activation="gelu")
        else:
            self._arithmetic(op)

    # Layers with variables.

    def _weighted(self, op: Any) -> None:
        """Add a convolution or a dense layer, with its bias and its activation."""
        images, kernel = op.inputs[:2]
        name = {"MatMul": "Dense", "Conv2D": "Conv2D"}.get(op.type, "DepthwiseConv2D")
        settings: dict[str, Any] = {}
        shape = kernel.shape.as_list()
        if op.type == "MatMul":
            is_plain = not (op.get_attr("transpose_a") or op.get_attr("transpose_b"))
            self._check(op, is_plain, "with transposed matrices")
            settings["units"] = shape[1]
        else:
            self._check(op, op.get_attr("data_format") == b"NHWC", "channels_first")
            settings["strides"] = op.get_attr("strides")[1:3]
            settings["dilation_rate"] = op.get_attr("dilations")[1:3]
            settings |= {"padding": padding_of(op), "kernel_size": shape[:2]}
            self._check(op, settings["padding"] in ("same", "valid"), "with this padding")
            is_depthwise = name == "DepthwiseConv2D"
            settings |= {"depth_multiplier" if is_depthwise else "filters": shape[3]}
        variables = [self._variable(op, kernel)]
        last = op
        bias = self._next(last)
        if (
            bias is not None
            and bias.type in ("BiasAdd", "AddV2")
            and bias.inputs[0] is op.outputs[0]
        ):
            value = bias.inputs[1]
            if variable_of(value) is not None and value.shape.rank == 1:
                variables, last = [*variables, value], bias
                self._included.add(bias.name)
        settings["use_bias"] = len(variables) == 2
        after = self._next(last)
        if after is not None and after.type in _ACTIVATIONS and layer_of(after) == layer_of(op):
            settings["activation"], last = _ACTIVATIONS[after.type], after
            self._included.add(after.name)
        self._add(op, name, inputs=[images], last=last, variables=variables, **settings)

    def _normalize(self, op: Any, found: Normalization) -> None:
        """Add a batch norm."""
        self._included.add(found.last.name)
        only = self._only.get(found.last.outputs[0].name, {})
        variables = [
            v for v in (found.gamma, found.beta, found.mean, found.variance) if v is not None
        ]
        self._add(
            op,
            "BatchNormalization",
            last=found.last,
            variables=[self._variable(op, variable) for variable in variables],
            epsilon=found.epsilon,
            scale=found.gamma is not None,
            center=found.beta is not None,
            **({"momentum": only["momentum"]} if only else {}),
        )

    def _variable(self, op: Any, tensor: Any) -> Any:
        """Return a tensor that reads a variable.

        Raises:
            CnnlabError: it is computed from variables.
        """
        self._check(op, variable_of(tensor) is not None, "with computed weights")
        return tensor

    # Layers without variables.

    def _reshape(self, op: Any) -> None:
        before, after = (t.shape.as_list() for t in (op.inputs[0], op.outputs[0]))
        is_known = None not in (*before[1:], *after[1:])
        self._check(op, is_known and np.prod(before[1:]) == np.prod(after[1:]), "of the batch")
        if before[1:] == after[1:]:
            self._pass_on(op)
        elif len(after) == 2:
            self._add(op, "Flatten")
        else:
            self._add(op, "Reshape", target_shape=after[1:])

    def _pad(self, op: Any) -> None:
        widths = np.asarray(constant_of(op, 1)).tolist()
        is_zero = op.type == "Pad" or (op.type == "PadV2" and not constant_of(op, 2))
        if is_zero and len(widths) == 4 and widths[0] == widths[3] == [0, 0]:
            self._add(op, "ZeroPadding2D", padding=widths[1:3])
            return
        self._check(op, is_zero or op.type == "MirrorPad", "with a constant")
        mode = "constant" if is_zero else op.get_attr("mode").decode().lower()
        made = keras3.ops.pad(self._input(op, op.inputs[0]), widths, mode=mode)
        self._made[op.outputs[0].name] = made

    def _pass_on(self, op: Any) -> None:
        """Add dropout, or nothing where an operation only gives a tensor another name."""
        settings = self._only.get(op.outputs[0].name)
        if settings is None:
            self._made[op.outputs[0].name] = self._input(op, op.inputs[0])
        elif settings.get("is_spatial"):
            self._add(op, "SpatialDropout2D", rate=settings["rate"])
        else:
            given = settings["noise_shape"]
            shape = None if given is None else sides_of_mask(given, op.inputs[0])
            self._check(op, given is None or shape, "with a computed noise_shape")
            self._add(op, "Dropout", rate=settings["rate"], noise_shape=shape)

    def _arithmetic(self, op: Any) -> None:
        """Add the layer of an operation on two tensors, or on a tensor and a number."""
        from_images = [tensor for tensor in op.inputs if tensor.name in self._made]
        self._check(op, op.type in (*_OF_SEVERAL, "RealDiv") and len(op.inputs) == 2)
        if len(from_images) == 2:
            self._check(op, op.type in _OF_SEVERAL)
            self._add(op, _OF_SEVERAL[op.type], inputs=list(op.inputs))
            return
        is_first = op.inputs[0].name in self._made
        number = tf.get_static_value(op.inputs[1 if is_first else 0])
        self._check(op, number is not None and number.size == 1, "with computed numbers")
        found = scale_and_offset(op.type, float(number), is_first=is_first)
        self._check(op, found is not None)
        assert found is not None
        self._add(op, "Rescaling", inputs=from_images, scale=found[0], offset=found[1])

    # How a layer is added.

    def _add(
        self,
        op: Any,
        class_name: str,
        *,
        inputs: list[Any] | None = None,
        last: Any = None,
        variables: list[Any] | None = None,
        **settings: Any,
    ) -> None:
        """Add a layer, or call the one again that has the same variables.

        Args:
            op: the operation.
            class_name: of a class of `keras.layers`.
            inputs: the tensors that the layer is called with; default: the first input of `op`.
            last: the operation whose output the layer gives; default: `op`.
            variables: the tensors that read the layer's variables.
            **settings: arguments of the class.
        """
        tensors = [self._input(op, tensor) for tensor in inputs or [op.inputs[0]]]
        key = tuple(str(variable_of(tensor)) for tensor in variables or [])
        settings["class_name"] = class_name
        layer, known = self._layers.get(key, (None, settings)) if key else (None, settings)
        self._check(op, known == settings, "that shares its weights with another kind of layer")
        del settings["class_name"]
        if layer is None:
            layer = getattr(keras3.layers, class_name)(name=self._name_for(op), **settings)
        made = layer(tensors[0] if len(tensors) == 1 else tensors)
        if key and key not in self._layers:
            self._layers[key] = layer, {**settings, "class_name": class_name}
            self.weights.append(Weights(layer, list(variables or [])))
        self._made[(last or op).outputs[0].name] = made

    def _input(self, op: Any, tensor: Any) -> Any:
        self._check(op, tensor.name in self._made, "of something else than the images")
        return self._made[tensor.name]

    def _next(self, op: Any) -> Any:
        """Return the operation that alone uses the output of another one on the way; or None."""
        found = [user for user in op.outputs[0].consumers() if user.name in self._path]
        return found[0] if len(found) == 1 else None

    def _name_for(self, op: Any) -> str:
        """Return a name that no layer has; names of Keras have no slash."""
        name = base = layer_of(op).replace("/", "_")
        number = 1
        while name in self._names:
            number += 1
            name = f"{base}_{number}"
        self._names.add(name)
        return name

    def _check(self, op: Any, is_fine: Any, detail: str = "") -> None:
        """Refuse an operation.

        Raises:
            CnnlabError: not `is_fine`.
        """
        if not is_fine:
            what = f"{op.type} {detail}".strip()
            raise CnnlabError(
                f"Keras has no twin of the layer {layer_of(op)} ({what}); export "
                "--format=saved_model and load it with keras.layers.TFSMLayer"
            )
