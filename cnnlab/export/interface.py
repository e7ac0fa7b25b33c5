"""What a program needs to know to run an exported network: its inputs and outputs."""

from __future__ import annotations

from typing import Any

from cnnlab.export.program import IMAGES, Program


def interface(format: str, precision: str, program: Program) -> dict[str, Any]:
    """Return inputs and outputs of a program; see `cnnlab.export.export`.

    Args:
        format, precision: of the export.
        program: the network.
    """

    def described(tensor: Any) -> dict[str, Any]:
        facts = {"dtype": tensor.dtype.name, "shape": tensor.shape.as_list()}
        # The other formats have signatures, so their users need no names of tensors.
        return {"tensor": tensor.name, **facts} if format in ("frozen", "onnx") else facts

    return {
        **({"precision": precision} if format == "tflite" else {}),
        "inputs": {IMAGES: described(program.images_ph)},
        "outputs": {name: described(tensor) for name, tensor in program.outputs.items()},
    }


def keras_interface(model: Any) -> dict[str, Any]:
    """Return inputs, outputs and layers of a model of Keras; see `cnnlab.export.export`."""

    def described(name: str, tensor: Any) -> dict[str, Any]:
        return {name: {"dtype": tensor.dtype, "shape": list(tensor.shape)}}

    outputs = model.output
    if not isinstance(outputs, dict):
        outputs = {model.layers[-1].name: outputs}
    found: dict[str, Any] = {}
    for name, tensor in outputs.items():
        found |= described(name, tensor)
    return {
        "inputs": described(IMAGES, model.input),
        "outputs": found,
        "layers": [layer.name for layer in model.layers],
    }
