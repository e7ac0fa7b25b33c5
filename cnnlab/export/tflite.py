"""Export to TensorFlow Lite, for phones and small boards."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt

from cnnlab.base.errors import CnnlabError
from cnnlab.base.tf1 import lite_errors, quiet_stderr, tf2
from cnnlab.export.program import IMAGES, Program, check_eager_mode
from cnnlab.export.saved_model import SERVING, save_saved_model

Precision = Literal["float32", "float16", "int8"]


def convert_to_tflite(
    program: Program, precision: Precision, calibration_images: npt.NDArray[Any] | None
) -> bytes:
    """Return the content of a .tflite file.

    With every precision, it takes images as `Program.images_ph`, and returns the outputs of
    `cnnlab.export.program.build_outputs`.

    Args:
        program: the network and its weights.
        precision: float32, float16 or int8. float16 stores the weights in float16 and computes in
            float32. int8 has weights and activations in 8 bits, for all operations that have an
            8-bit kernel.
        calibration_images: for int8, the images to measure the range of each activation on, [n,
            height, width, channels]. None with the other precisions.

    Raises:
        CnnlabError: TensorFlow Lite lacks an operation of the network (the message names it) or
            cannot convert it, or eager mode is off.
    """
    check_eager_mode("TensorFlow Lite's converter")
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
                # The converter itself uses this class, to calibrate.
                warnings.filterwarnings("ignore", ".*Interpreter is deprecated")
                return bytes(converter.convert())
        except lite_errors.ConverterError as error:
            problem = str(error)
    operations = sorted(set(re.findall(r"'tf\.(\w+)' op", problem)))
    what = f"it has no {', '.join(operations)}" if operations else " ".join(problem.split())[:300]
    raise CnnlabError(
        f"TensorFlow Lite cannot run this model: {what}; choose another --format for it"
    )


def _one_by_one(images: npt.NDArray[Any]) -> Iterator[Any]:
    for index in range(len(images)):
        yield {IMAGES: images[index : index + 1]}
