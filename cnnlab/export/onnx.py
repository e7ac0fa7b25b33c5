"""Export to ONNX with tf2onnx (`pip install 'cnnlab[onnx]'`)."""

from __future__ import annotations

import importlib
from types import ModuleType

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import quiet_stderr
from cnnlab.export.frozen_graph import frozen_graph
from cnnlab.export.program import IMAGES, Program

OPSET = 18  # the highest that tf2onnx 1.17 writes


def load_converter() -> ModuleType:
    """Import tf2onnx and return it.

    Raises:
        CnnlabError: it is not installed.
    """
    try:
        with quiet_stderr():
            return importlib.import_module("tf2onnx")
    except ImportError as error:
        raise CnnlabError(
            f"--format=onnx needs tf2onnx ({error}): pip install 'cnnlab[onnx]'"
        ) from error


def convert_to_onnx(program: Program) -> bytes:
    """Return the content of an .onnx file that computes the outputs from images.

    Raises:
        CnnlabError: tf2onnx is not installed, or it cannot convert one of the operations.
    """
    converter = load_converter()
    graph_def = frozen_graph(program)
    try:
        with quiet_stderr():
            model, _ = converter.convert.from_graph_def(
                graph_def,
                input_names=[f"{IMAGES}:0"],
                output_names=[tensor.name for tensor in program.outputs.values()],
                opset=OPSET,
            )
    except (ValueError, NotImplementedError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CnnlabError(f"tf2onnx cannot convert this model: {reason}") from error
    return bytes(model.SerializeToString())
