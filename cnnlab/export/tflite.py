"""TensorFlow Lite: for phones and small boards."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import lite_errors, quiet_stderr, tf2
from cnnlab.export.program import IMAGES, Program
from cnnlab.export.saved_model import SERVING, save_saved_model

Precision = Literal["float32", "float16", "int8"]


def convert_to_tflite(
    program: Program, precision: Precision, calibration_images: npt.NDArray[np.uint8] | None
) -> bytes:
    """The content of a .tflite file.

    Whatever the precision inside, it takes images uint8 [batch, height, width, channels] and gives
    probabilities float32 [batch, num_classes] and classes int64 [batch].

    Args:
        precision: float32; float16: weights stored in half precision, computed in single; int8:
            weights and activations in 8 bits, where there is such a kernel.
        calibration_images: uint8 [n, height, width, channels], from which int8 learns the range of
            each activation; None for the others.

    Raises:
        CnnlabError: TensorFlow Lite has no such operation as the network needs, or cannot convert
            it; named. Or eager mode is off.
    """
    if not tf2.executing_eagerly():
        raise CnnlabError(
            "TensorFlow Lite's converter needs eager mode: do not export inside a graph's "
            "as_default(), nor after disable_eager_execution()"
        )
    with tempfile.TemporaryDirectory() as scratch, quiet_stderr():
        folder = Path(scratch) / "saved_model"
        save_saved_model(program, folder)
        converter = tf2.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[SERVING])
        if precision != "float32":
            converter.optimizations = [tf2.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf2.float16]
        if calibration_images is not None:
            converter.representative_dataset = lambda: _one_by_one(calibration_images)
        try:
            with warnings.catch_warnings():
                # Of the converter's own use of it, to calibrate.
                warnings.filterwarnings("ignore", ".*Interpreter is deprecated")
                return bytes(converter.convert())
        except lite_errors.ConverterError as error:
            problem = str(error)
    operations = sorted(set(re.findall(r"'tf\.(\w+)' op", problem)))
    what = f"it has no {', '.join(operations)}" if operations else " ".join(problem.split())[:300]
    raise CnnlabError(f"TensorFlow Lite cannot take this model: {what}; export another --format")


def _one_by_one(images: npt.NDArray[np.uint8]) -> Iterator[Any]:
    for index in range(len(images)):
        yield {IMAGES: images[index : index + 1]}
